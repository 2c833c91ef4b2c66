package main

import (
	"github.com/spf13/cobra"

	"carepost/dicom/statement"
)

func newDicomStatementCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:   "statement",
		Short: "Prints the DICOM Conformance Statement",
		Long: `Prints what this version conforms to, in the form of DICOM PS3.2: application profiles, SOP classes, transfer syntaxes, directory
records with the keys that are supplied where an instance lacks them, character sets, security and limits. It is made of the tables that
the program works by.

The text is Markdown; --json gives the same as data.`,
		Example: `  carepost dicom statement >conformance-statement.md
  carepost dicom statement --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s := statement.New(version())
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), s)
			}
			return s.Markdown(cmd.OutOrStdout())
		},
	})
}
