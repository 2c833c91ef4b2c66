package admind

import (
	"fmt"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
)

// Codes of errors, for programs.
const (
	Refused  = "refused"   // a rule says no: Clause names it
	NotFound = "not-found" // what was named is not there
	Conflict = "conflict"  // it is there, in a state that does not allow it
	Usage    = "usage"     // the request is wrong
	NotNow   = "not-now"   // disk, network, another process: try again
	Damaged  = "damaged"   // kept data is not what was written
	Denied   = "denied"    // the one who asks is neither root nor the gateway's user
)

// Error is an answer that is none of what was asked for.
type Error struct {
	Status int    `json:"-"` // of HTTP
	Code   string `json:"code"`
	Clause string `json:"clause,omitempty"` // "Direct 2.2"
	Reason string `json:"reason"`           // one sentence: cause and remedy
}

func (e *Error) Error() string {
	if e.Clause != "" {
		return fmt.Sprintf("%s: %s", e.Clause, e.Reason)
	}
	return e.Reason
}

// Status of an installation.
type Status struct {
	Serving bool          `json:"serving"` // a gateway runs; false: the command has opened the store itself
	Domains []addr.Domain `json:"domains"`
	Started time.Time     `json:"started,omitzero"`
	Version string        `json:"version,omitempty"`
	Engine  string        `json:"engine,omitempty"` // "sqlite", "postgres"
	// Listeners by name ("mx", "submission", …): host:port as bound.
	Listeners map[string]string `json:"listeners,omitempty"`
	Warnings  []string          `json:"warnings,omitempty"` // for people, those of Expiring too
	Expiring  []Expiring        `json:"expiring,omitempty"`
}

// Expiring is a certificate that ends within 30 days, or has ended: one of ours, or one that we trust.
type Expiring struct {
	Kind     string    `json:"kind"` // "own", "server", "authority", "anchor", "bundle", "pin"
	What     string    `json:"what"`
	SHA256   string    `json:"sha256"` // of a bundle: of the first to end
	NotAfter time.Time `json:"not_after"`
	Days     int       `json:"days"` // the step of the warning: 30, 14, 7 or 1 day before the end; 0 when it has ended
	Ended    bool      `json:"ended"`
	Count    int       `json:"count,omitempty"` // how many anchors of a bundle
	Remedy   string    `json:"remedy"`
}

// Reloaded is what came of reading the configuration again: the keys of which the change takes effect at the next start.
type Reloaded struct {
	Later []string `json:"later"`
}

// Card is what a partner needs to know of an installation: whom to trust and where to deliver.
type Card struct {
	Domain      addr.Domain   `json:"domain"`
	Also        []addr.Domain `json:"also,omitempty"` // its other domains
	Hostname    string        `json:"hostname"`
	Anchor      string        `json:"anchor"`                // PEM: to be trusted
	Certificate string        `json:"certificate,omitempty"` // PEM: the organisation's, for comparison
	// Listeners of a trial, host:port; empty where DNS tells.
	SMTP string `json:"smtp,omitempty"`
	DNS  string `json:"dns,omitempty"`
	HTTP string `json:"http,omitempty"` // issuers and revocation lists
}

// Timeline is a message, how far it has come for each recipient, and what happened, oldest first.
type Timeline struct {
	ID        string    `json:"id"`
	Direction string    `json:"direction"` // "outbound", "inbound"
	Stage     string    `json:"stage"`     // "received", "decided", "closed"
	From      string    `json:"from,omitempty"`
	Subject   string    `json:"subject,omitempty"`
	MessageID string    `json:"message_id,omitempty"`
	Size      int64     `json:"size"` // bytes as accepted
	Received  time.Time `json:"received"`
	Expires   time.Time `json:"expires,omitzero"`

	FinalDelivery bool   `json:"final_delivery,omitempty"` // its sender asks for a notice of the final delivery
	Transfer      string `json:"transfer,omitempty"`       // id of the large set that we have divided, of which it is a part

	Recipients []Recipient `json:"recipients"`
	Events     []Event     `json:"events"`
}

// Recipient is one address of a message. States are those of transit: outbound accepted, sealed, sent, relayed, processed,
// dispatched, failed; inbound accepted, opened, aside, settled, failed. Result is what a program wants to know: pending, relayed,
// processed, delivered, failed; inbound pending, shown, aside.
type Recipient struct {
	ID       string       `json:"id"`
	Address  addr.Address `json:"address"`
	State    string       `json:"state"`
	Final    bool         `json:"final"`            // nothing can follow
	Result   string       `json:"result"`           // never more than is known
	Awaits   string       `json:"awaits,omitempty"` // what is waited for; empty: nothing
	Attempts int          `json:"attempts,omitempty"`
	Code     int          `json:"code,omitempty"`    // last SMTP reply code
	Text     string       `json:"text,omitempty"`    // last answer of a server, or what went wrong
	Refused  bool         `json:"refused,omitempty"` // failed because a rule of ours or theirs says no
	Sent     time.Time    `json:"sent,omitzero"`
	// Processed is when the other side said that it had verified the message and took it over, Dispatched when it said that it was
	// delivered, Failed when our sender was told.
	Processed  time.Time `json:"processed,omitzero"`
	Dispatched time.Time `json:"dispatched,omitzero"`
	Failed     time.Time `json:"failed,omitzero"`
	Deadline   time.Time `json:"deadline,omitzero"` // a missing notice becomes a failure then
}

// Event is one thing that happened.
type Event struct {
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	Recipient string    `json:"recipient,omitempty"` // id; empty: the message as a whole
	From      string    `json:"from,omitempty"`      // state before
	To        string    `json:"to"`                  // state after
	Cause     string    `json:"cause,omitempty"`     // words of ours, or a clause
	Detail    string    `json:"detail,omitempty"`    // lines "what: words"
}

// Account is a local address.
type Account struct {
	Address     addr.Address `json:"address"`
	Created     time.Time    `json:"created"`
	Closed      time.Time    `json:"closed,omitzero"`
	HasPassword bool         `json:"has_password"`
	Drops       Drops        `json:"drops,omitzero"`
}

// Drops are folders outside the data directory that mail is copied to; empty = none.
type Drops struct {
	Maildir string `json:"maildir,omitempty"`
	Studies string `json:"studies,omitempty"`
}

// Mail is one message of a folder, as lists show it.
type Mail struct {
	UID     uint32    `json:"uid"`
	Message string    `json:"message,omitempty"` // id of its timeline
	At      time.Time `json:"at"`
	Size    int64     `json:"size"`
	From    string    `json:"from"`
	Subject string    `json:"subject"`
	Flags   string    `json:"flags,omitempty"`
}

// Outline is the header and the parts of a message, without their bytes.
type Outline struct {
	Mail
	Fields []Field `json:"fields"` // From, To, Cc, Date, Subject, Message-ID and the like, decoded for people
	Parts  []Part  `json:"parts"`  // leaves, in order
	Study  bool    `json:"study"`  // one of them carries a DICOM File-set, or objects of one

	Unreadable  string `json:"unreadable,omitempty"`  // why no program but the sender's can take out what is attached
	Unprotected bool   `json:"unprotected,omitempty"` // it came neither encrypted nor signed: nobody vouches for it

	Doubts []fileset.Finding `json:"doubts,omitempty"` // whether the set in it is all that was sent
}

// Field of a header.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Part is a leaf of a message's tree.
type Part struct {
	N        int    `json:"n"`    // from 1
	Type     string `json:"type"` // "application/pdf"
	Charset  string `json:"charset,omitempty"`
	Name     string `json:"name,omitempty"` // that the sender gave it: never open a file by it
	Size     int64  `json:"size"`           // bytes decoded, nearly
	Attached bool   `json:"attached"`       // an attachment rather than text to read
	Study    bool   `json:"study,omitempty"`
	Object   bool   `json:"object,omitempty"` // a DICOM object by itself, not in a DICOM.ZIP

	ObjectName string `json:"object_name,omitempty"` // its File ID, or its name
}

// StudyReport is what a check of a File-set found; see fileset.Report.
type StudyReport struct {
	Verdict   string            `json:"verdict"` // COMPLETE, VIOLATIONS, UNVERIFIABLE, INCOMPLETE, DAMAGED
	Patients  int               `json:"patients"`
	Studies   int               `json:"studies"`
	Series    int               `json:"series"`
	Instances int               `json:"instances"`
	Found     int               `json:"instances_found"`
	Bytes     int64             `json:"bytes"`
	Hashed    bool              `json:"hashed"`
	Missing   []string          `json:"missing,omitempty"`
	Findings  []StudyFinding    `json:"findings,omitempty"`
	Tree      []fileset.Patient `json:"tree,omitempty"`
}

// StudyFinding is one finding of a check.
type StudyFinding struct {
	Severity string `json:"severity"`
	Rule     string `json:"rule"`
	Source   string `json:"source"`
	Where    string `json:"where,omitempty"`
	Text     string `json:"text"`
}

// Work is one row of the queue.
type Work struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Ref      string    `json:"ref,omitempty"`     // what it is about
	Message  string    `json:"message,omitempty"` // id of the message behind it, where there is one
	Lane     string    `json:"lane"`
	Dest     string    `json:"dest,omitempty"` // destination domain
	State    string    `json:"state"`          // ready, leased, held, dead
	Attempts int64     `json:"attempts"`
	Next     time.Time `json:"next,omitzero"` // due; the end of the lease while leased
	Created  time.Time `json:"created"`
	Error    string    `json:"error,omitempty"` // last one
}

// Keys of an installation, without their bytes.
type Keys struct {
	Sealing []SealingKey `json:"sealing"`
}

// SealingKey is a store key: it wraps data keys and seals columns, and is itself wrapped by the key-encryption key.
type SealingKey struct {
	ID      string    `json:"id"`
	Purpose string    `json:"purpose"`
	Created time.Time `json:"created"`
	Current bool      `json:"current"` // seals what is written from now on
}

// Rotation is what a rotation of the store key did.
type Rotation struct {
	Key      string `json:"key"`      // id of the new one
	Resealed int64  `json:"resealed"` // values now under it
}

// Backup is what was written.
type Backup struct {
	Dir     string    `json:"dir"`
	Created time.Time `json:"created"`
	Files   int       `json:"files"`
	Bodies  int       `json:"bodies"`
	Bytes   int64     `json:"bytes"`
}
