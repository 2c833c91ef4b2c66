package fileset

import "fmt"

// rule is data: the name of a rule, how bad it is to break it, and the clause it comes from. "own" marks a policy of ours that no
// standard asks for.
type rule struct {
	name     string
	severity Severity
	source   string
}

func (r rule) at(where, format string, args ...any) Finding {
	return Finding{Severity: r.severity, Rule: r.name, Source: r.source, Where: where, Text: fmt.Sprintf(format, args...)}
}

// Rules of making a set.
var (
	ruleSupplied  = rule{"key-supplied", Note, "PS3.3 F.5"}
	ruleValue     = rule{"key-value", Note, "PS3.5 6.2"}
	ruleDuplicate = rule{"same-instance-twice", Note, "PS3.3 F.5.4"}
	ruleSkipped   = rule{"not-an-instance", Note, "PS3.10 8.6"}
	ruleForeign   = rule{"foreign-file-left-out", Note, "PS3.12 Y.1.1"}
	ruleParents   = rule{"keys-differ", Note, "PS3.3 F.5"}
	ruleNames     = rule{"patient-names-differ", Violation, "PS3.11 X.3.3"}
	ruleVersion   = rule{"instance-version-left-out", Note, "PS3.3 F.5.4"}
	ruleExtra     = rule{"extra-file", Note, "PS3.12 Y.1.1"}
	ruleAdopted   = rule{"patient-id-of-study", Note, "PS3.3 F.5.1"}
	ruleListed    = rule{"directory-lists-more", Violation, "PS3.10 8.6"}
)

// Rules of one object, seen when making and when reading a set. What an instance has always been is no fault of the set: a note.
var (
	ruleUID        = rule{"uid-syntax", Note, "PS3.5 9.1"}
	ruleSyntaxLie  = rule{"transfer-syntax", Note, "PS3.10 7.1"}
	ruleMeta       = rule{"file-meta", Note, "PS3.10 7.1"}
	rulePreamble   = rule{"preamble", Note, "PS3.10 7.1"}
	ruleUnordered  = rule{"element-order", Note, "PS3.5 7.1"}
	ruleSigned     = rule{"digital-signature", Note, "PS3.15 B.8"}
	rulePixels     = rule{"image-without-pixels", Note, "PS3.3 C.7.6.3"}
	ruleUnknown    = rule{"unknown-sop-class", Note, "PS3.3 F.6"}
	ruleNotDICOM   = rule{"not-part-10", Damage, "PS3.10 7.1"}
	ruleCut        = rule{"object-cut", Damage, "PS3.5 7.1"}
	ruleUnreadable = rule{"object-unreadable", Damage, "PS3.5 7"}
)

// Rules of a set that arrived.
var (
	ruleNoDirectory    = rule{"no-dicomdir", Missing, "PS3.12 Y.1.2.2"}
	ruleUndirected     = rule{"objects-without-dicomdir", Unproven, "PS3.12 Y.1.2.2"}
	ruleLoose          = rule{"objects-without-archive", Unproven, "PS3.11 X.3.2"}
	ruleTwoDirectories = rule{"two-dicomdirs", Violation, "PS3.11 X.3.3"}
	ruleTwoSets        = rule{"two-file-sets", Violation, "PS3.12 Y.1.1"}
	ruleDirectory      = rule{"dicomdir-unreadable", Damage, "PS3.3 F.3"}
	ruleDirEncoding    = rule{"dicomdir-encoding", Violation, "PS3.10 8.6"}
	ruleDirMeta        = rule{"dicomdir-meta", Violation, "PS3.10 8.6"}
	ruleEmpty          = rule{"dicomdir-empty", Violation, "PS3.11 X.3.3"}
	ruleConsistency    = rule{"consistency-flag", Violation, "PS3.3 F.3.2.2"}
	ruleOffset         = rule{"record-offset", Violation, "PS3.3 F.3.2.2"}
	ruleLoop           = rule{"record-loop", Violation, "PS3.3 F.3.2.2"}
	ruleOrphan         = rule{"record-orphan", Violation, "PS3.3 F.3.2.2"}
	ruleInactive       = rule{"record-inactive", Note, "PS3.3 F.3.2.2"}
	ruleHierarchy      = rule{"record-hierarchy", Violation, "PS3.3 F.4"}
	ruleType           = rule{"record-type", Violation, "PS3.3 F.5"}
	ruleKey            = rule{"record-key", Violation, "PS3.3 F.5"}
	ruleElementTwice   = rule{"record-element-twice", Violation, "PS3.5 7.1"}
	ruleReference      = rule{"record-reference", Violation, "PS3.3 F.3.2.2"}
	rulePatientTwice   = rule{"patient-id-unique", Violation, "PS3.11 X.3.3"}
	ruleStudyTwice     = rule{"study-uid-unique", Violation, "PS3.3 F.5.2"}
	ruleSeriesTwice    = rule{"series-uid-unique", Violation, "PS3.3 F.5.3"}
	ruleInstanceTwice  = rule{"instance-unique", Violation, "PS3.3 F.5.4"}
	ruleFileIDTwice    = rule{"file-id-unique", Violation, "PS3.10 8.6"}
	ruleFileID         = rule{"file-id", Violation, "PS3.10 8.2"}
	ruleMissing        = rule{"instance-missing", Missing, "PS3.12 Y.1.2.2"}
	ruleRecord         = rule{"record-is-not-the-file", Violation, "PS3.3 F.5"}
	ruleUnreferenced   = rule{"instance-unreferenced", Violation, "PS3.11 X.3.3"}
	ruleOther          = rule{"other-file", Note, "PS3.12 Y.1.1"}
)

// Rules of MANIFEST.
var (
	ruleNoManifest       = rule{"manifest-absent", Note, "own"}
	ruleManifestMissing  = rule{"manifest-missing", Missing, "PS3.3 F.3.2.1"}
	ruleManifestUnnamed  = rule{"manifest-unreferenced", Violation, "PS3.3 F.3.2.1"}
	ruleManifestBroken   = rule{"manifest-malformed", Damage, "own"}
	ruleManifestHash     = rule{"manifest-hash", Damage, "own"}
	ruleManifestMissFile = rule{"manifest-file-missing", Missing, "own"}
	ruleManifestExtra    = rule{"manifest-file-unlisted", Violation, "own"}
	ruleDescriptorGone   = rule{"descriptor-missing", Violation, "PS3.3 F.3.2.1"}
)

// Rules of the archive.
var (
	ruleZIP        = rule{"zip-structure", Damage, "APPNOTE 4.3"}
	ruleZIPCut     = rule{"zip-cut", Damage, "APPNOTE 4.3.16"}
	ruleZIPJunk    = rule{"zip-junk", Violation, "APPNOTE 4.3.1"}
	ruleZIPName    = rule{"zip-name", Damage, "APPNOTE 4.4.17"}
	ruleZIPSlash   = rule{"zip-backslash", Violation, "APPNOTE 4.4.17"}
	ruleZIPCoding  = rule{"zip-name-coding", Note, "APPNOTE D.1"}
	ruleZIPTwice   = rule{"zip-name-twice", Damage, "PS3.10 8.6"}
	ruleZIPLink    = rule{"zip-symlink", Damage, "PS3.12 Y.2"}
	ruleZIPSecret  = rule{"zip-encrypted", Damage, "PS3.15 B.8"}
	ruleZIPMethod  = rule{"zip-method", Damage, "APPNOTE 4.4.5"}
	ruleZIPCRC     = rule{"zip-crc", Damage, "APPNOTE 4.4.7"}
	ruleZIPLocal   = rule{"zip-headers-differ", Damage, "APPNOTE 4.3.7"}
	ruleZIPOverlap = rule{"zip-overlap", Damage, "APPNOTE 4.3.7"}
	ruleLimit      = rule{"limit", Damage, "own"}
	ruleWrapped    = rule{"wrapping-folder", Violation, "PS3.12 Y.1.2.2"}
	ruleCase       = rule{"file-name-case", Violation, "PS3.10 8.2"}
	ruleExtension  = rule{"file-name-extension", Violation, "PS3.12 Y.1.2.1"}
	ruleLitter     = rule{"system-litter", Note, "PS3.12 Y.1.1"}
)
