package main

import "github.com/spf13/cobra"

func newDicomCmd() *cobra.Command {
	return &cobra.Command{Use: "dicom", Short: "File-sets: pack, check, unpack"}
}
