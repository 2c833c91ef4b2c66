package atna

// dcm is a code of DICOM's own terminology (PS3.16 Annex D).
func dcm(value, meaning string) Code { return Code{value, "DCM", meaning} }

// rfc3881 is a code of RFC 3881, which A.5.2 keeps.
func rfc3881(value, meaning string) Code { return Code{value, "RFC-3881", meaning} }

// Kinds of events (A.5.3).
var (
	ApplicationActivity = dcm("110100", "Application Activity")
	AuditLogUsed        = dcm("110101", "Audit Log Used")
	Transferred         = dcm("110104", "DICOM Instances Transferred")
	Export              = dcm("110106", "Export")
	Import              = dcm("110107", "Import")
	SecurityAlert       = dcm("110113", "Security Alert")
	UserAuthentication  = dcm("110114", "User Authentication")
)

// What kind of such an event it was.
var (
	ApplicationStart = dcm("110120", "Application Start")
	ApplicationStop  = dcm("110121", "Application Stop")
	Login            = dcm("110122", "Login")
	Logout           = dcm("110123", "Logout")

	NodeAuthentication    = dcm("110126", "Node Authentication")
	SecurityConfiguration = dcm("110129", "Security Configuration")
	RestrictedFunction    = dcm("110132", "Use of Restricted Function")
	ObjectSecurity        = dcm("110135", "Object Security Attributes Changed")
	UserSecurity          = dcm("110137", "User Security Attributes Changed")

	// ITI-32 is a set of documents on media or by mail (IHE ITI TF-2: 3.32).
	ITI32 = Code{"ITI-32", "IHE Transactions", "Distribute Document Set on Media"}
)

// Roles of participants.
var (
	Application         = dcm("110150", "Application")
	ApplicationLauncher = dcm("110151", "Application Launcher")
	Destination         = dcm("110152", "Destination Role ID")
	SourceRole          = dcm("110153", "Source Role ID")
	DestinationMedia    = dcm("110154", "Destination Media")
	SourceMedia         = dcm("110155", "Source Media")
)

// Mail is the medium of everything that goes by mail (PS3.16 CID 405).
var Mail = dcm("110031", "Email")

// What an object's identifier is.
var (
	StudyUID      = dcm("110180", "Study Instance UID")
	NodeID        = dcm("110182", "Node ID")
	PatientNumber = rfc3881("2", "Patient Number")
	URIType       = rfc3881("12", "URI")

	// MessageIDType is a Message-ID of RFC 5322. No terminology has a code for it, so this one is ours (A.5.2: codes may be).
	MessageIDType = Code{"Message-ID", "RFC 5322", "Message-ID"}
)

// Types and roles of objects (A.5.1.2.2).
const (
	person       = 1
	systemObject = 2

	rolePatient          = 1
	roleReport           = 3
	roleSecurityResource = 13
)

// ApplicationServer is the AuditSourceTypeCode of a process like ours.
var ApplicationServer = Kind{"4"}
