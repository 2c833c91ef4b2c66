package main

import (
	"github.com/spf13/cobra"

	"carepost/dicom/statement"
	"carepost/internal/dicomweb"
)

// newStatement adds to what the rooms of the standard say what the gateway's own edges hold to.
func newStatement() *statement.Statement {
	s := statement.New(version())
	s.AddStoreServer(statement.StoreServer(dicomweb.NewTables()))
	return s
}

func newDicomStatementCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:   "statement",
		Short: "Prints the DICOM Conformance Statement",
		Long: `Prints what this version conforms to, in the form of DICOM PS3.2: application
profiles, SOP classes, transfer syntaxes, directory records with the keys that
are supplied where an instance lacks them, network services (DIMSE, DICOMweb),
character sets, security, de-identification and limits. It is made of the tables
that the program works by.

The text is Markdown; --json gives the same as data.`,
		Example: `  carepost dicom statement >conformance-statement.md
  carepost dicom statement --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s := newStatement()
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), s)
			}
			return s.Markdown(cmd.OutOrStdout())
		},
	})
}
