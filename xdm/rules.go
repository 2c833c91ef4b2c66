package xdm

import "carepost/dicom/fileset"

// rule is data: its name, how bad it is to break it, and where it stands. What readers in use cope with, and what leaves open neither
// which document is meant nor whether it is the one, is no more than a violation.
type rule struct {
	name     string
	severity fileset.Severity
	source   string
}

// Rules of a package that arrived.
var (
	ruleNoMetadata = rule{"xdm-no-metadata", fileset.Missing, "ITI TF-2 3.32.4.1.2"}
	ruleMetadata   = rule{"xdm-metadata", fileset.Damage, "ITI TF-3 4.2"}
	ruleBroken     = rule{"xdm-file-damaged", fileset.Damage, "APPNOTE 4.4.7"}
	ruleSet        = rule{"xdm-submission-set", fileset.Violation, "ITI TF-3 4.2.1.1"}
	ruleSetValue   = rule{"xdm-submission-set-value", fileset.Violation, "ITI TF-3 4.2.3.3"}
	ruleAuthor     = rule{"xdm-author-address", fileset.Violation, "XDR and XDM for Direct"}
	ruleTwice      = rule{"xdm-identifier-twice", fileset.Violation, "ITI TF-3 4.2.3.2.26"}
	ruleValue      = rule{"xdm-document-value", fileset.Violation, "ITI TF-3 4.2.3.2"}
	ruleKind       = rule{"xdm-object-type", fileset.Violation, "ITI TF-3 4.2.5.2"}
	ruleHashForm   = rule{"xdm-hash-form", fileset.Violation, "ITI TF-3 4.2.3.2.10"}
	ruleMissing    = rule{"xdm-document-missing", fileset.Missing, "ITI TF-2 3.32.4.1.2"}
	ruleSize       = rule{"xdm-size", fileset.Damage, "ITI TF-3 4.2.3.2.21"}
	ruleHash       = rule{"xdm-hash", fileset.Damage, "ITI TF-3 4.2.3.2.10"}
	rulePath       = rule{"xdm-path", fileset.Violation, "ITI TF-3 4.2.3.2.27"}
	ruleCase       = rule{"xdm-name-case", fileset.Violation, "ITI TF-2 3.32.4.1.2"}
	ruleLink       = rule{"xdm-linked-by-hash", fileset.Violation, "ITI TF-3 4.2.3.2.27"}
	ruleNoIndex    = rule{"xdm-no-index", fileset.Violation, "ITI TF-2 3.32.4.1.2"}
	ruleFolder     = rule{"xdm-folder-entry", fileset.Violation, "ITI TF-2 3.32.4.1.2"}
	ruleName       = rule{"xdm-iso-9660", fileset.Violation, "ITI TF-2 3.32.4.1.2"}
	ruleOther      = rule{"xdm-file-unreferenced", fileset.Note, "ITI TF-2 3.32.4.1.2"}
	ruleLimit      = rule{"limit", fileset.Damage, "own"}
)
