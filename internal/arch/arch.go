// Package arch holds the map of the house: which room lies in which layer, and which may import which. Its test reads the
// sources of the module and fails on every arrow that is not drawn here. docs/architecture.md tells the same in words.
package arch

// Layer of a room. A room imports rooms of lower layers; arrows inside a layer are named in Arrows.
type Layer int

// The layers, from the ground up.
const (
	Ground    Layer = iota // values, formats, lines: no standard's decisions
	Standards              // one document each
	Decisions              // what may be done, as values
	State                  // what is kept
	Services               // what is done, in transactions
	Edges                  // listeners and clients
	Wiring                 // binaries, flags, start and stop
)

// Rooms names every room of the module by its import path below the module's name.
var Rooms = map[string]Layer{
	"addr": Ground, "certificate": Ground, "message": Ground, "cms": Ground, "smtp": Ground, "sasl": Ground, "pop3": Ground, "imap": Ground, "resolver": Ground, "ldap": Ground, "dicom": Ground,
	"internal/crash": Ground, "cms/internal/cbc": Ground, "cms/internal/gcm": Ground, "cms/internal/keywrap": Ground,

	"smime": Standards, "trust": Standards, "trust/policy": Standards, "discovery": Standards, "mdn": Standards, "dsn": Standards,
	"dicom/fileset": Standards, "dicom/dimse": Standards, "dicom/stow": Standards, "dicom/zipmail": Standards, "dicom/deid": Standards, "dicom/textsr": Standards, "dicom/statement": Standards, "xdm": Standards, "directcontext": Standards, "atna": Standards,

	"internal/transit": Decisions, "internal/rule": Decisions, "internal/agent": Decisions,

	"internal/vault": State, "internal/store": State, "internal/blob": State, "internal/keyring": State,
	"internal/audit": State, "internal/queue": State,

	"internal/pilot": Services, "internal/mailbox": Services, "internal/flow": Services, "internal/drop": Services, "internal/admin": Services,
	"internal/sweep": Services, "internal/backup": Services, "internal/bundle": Services, "internal/hook": Services,
	"internal/intake": Services, "internal/collect": Services,

	"internal/handover": Services,
	"internal/dicomweb": Edges,

	"internal/smtpd": Edges, "internal/relay": Edges, "internal/dnsd": Edges, "internal/ldapd": Edges, "internal/certd": Edges, "internal/fetch": Edges,
	"internal/admind": Edges, "internal/auditor": Edges, "internal/dicomd": Edges,

	"cmd/carepost": Wiring, "internal/config": Wiring, "internal/gateway": Wiring, "internal/demo": Wiring,
	"internal/demo/study": Wiring, "internal/demo/bigstudy": Wiring, "dicom/deid/gen": Wiring,
	"internal/crashfs": Wiring, "test/peers": Wiring, "test/bench": Wiring, // for tests alone: no room imports them
}

// Arrows names the imports that stay inside a layer.
var Arrows = map[string][]string{
	"cms":              {"certificate", "cms/internal/cbc", "cms/internal/gcm", "cms/internal/keywrap"},
	"message":          {"addr"},
	"smtp":             {"addr"},
	"pop3":             {"sasl", "smtp"}, // its lines and dots are SMTP's
	"imap":             {"sasl", "smtp"}, // what TLS is held to
	"resolver":         {"addr"},
	"trust":            {"trust/policy"}, // what a question demands of a certificate
	"discovery":        {"trust"},        // a certificate bound to somebody else is no hit (Direct 5.1)
	"dicom/zipmail":    {"dicom/fileset"},
	"dicom/statement":  {"dicom/fileset", "dicom/zipmail", "dicom/dimse", "dicom/deid", "dicom/textsr"}, // their tables
	"xdm":              {"dicom/fileset"},                                                               // the guard of archives, and the set beside a package
	"internal/rule":    {"internal/transit"},
	"internal/agent":   {"internal/transit", "internal/rule"},
	"internal/store":   {"internal/vault"},
	"internal/blob":    {"internal/vault"},
	"internal/keyring": {"internal/vault", "internal/store"},
	"internal/audit":   {"internal/store", "internal/keyring"}, // the key that signs heads
	"internal/queue":   {"internal/store", "internal/vault"},
	"internal/flow":    {"internal/mailbox"},
	"internal/collect": {"internal/flow"},
	"internal/drop":    {"internal/mailbox"},
	"internal/intake":  {"internal/flow"}, // a study is sent in the transaction that says so
	"cmd/carepost":     {"internal/demo", "internal/gateway", "internal/config"},
	"internal/demo":    {"internal/gateway", "internal/demo/study"},

	"internal/handover": {"internal/mailbox"},
}

// Forbidden packages: who alone may import them.
var Forbidden = map[string][]string{
	"database/sql":                   {"internal/store"},
	"github.com/jackc/pgx":           {"internal/store"},
	"modernc.org/sqlite":             {"internal/store"},
	"github.com/pressly/goose":       {"internal/store"},
	"gocloud.dev":                    {"internal/vault", "internal/blob"},
	"github.com/minio/sio":           {"internal/blob"},
	"github.com/spf13/cobra":         {"cmd/carepost"},
	"github.com/emersion":            {"imap"},
	"github.com/BurntSushi/toml":     {"internal/config"},
	"github.com/vbauerster/mpb":      {"cmd/carepost", "internal/demo"},
	"github.com/miekg/dns":           {"resolver", "internal/dnsd"},
	"github.com/go-ldap/ldap":        {"ldap"},
	"github.com/go-asn1-ber":         {"ldap", "internal/ldapd"},
	"github.com/hanwen/go-fuse":      {"internal/crashfs"},
	"golang.org/x/crypto/cryptobyte": {"certificate", "cms", "trust", "trust/policy", "internal/keyring"},
	"software.sslmate.com/src":       {"internal/keyring"},
	"golang.org/x/mod":               {"internal/audit"},
	"github.com/miekg/pkcs11":        {"internal/keyring"},
}

// Values that say how they look in a log (slog.LogValuer) name log/slog without being loggers.
var LogValuers = []string{"addr"}

// Quiet layers have no logger, no SQL and no clock of their own (STYLE: Ground to Decisions).
const Quiet = Decisions
