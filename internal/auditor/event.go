package auditor

import (
	"encoding/json"
	"strings"

	"carepost/atna"
	"carepost/internal/audit"
	"carepost/internal/transit"
)

// Source is who we are to the repository.
type Source struct {
	ID   string // AuditSourceID: our name there
	Site string // AuditEnterpriseSiteID; empty: not told
	Host string // in the header of syslog; empty: not told
}

// Events are the kinds that are told; the zero value is all of them.
type Events struct{ NoExport, NoImport, NoTransfer, NoAlert, NoSignIn, NoActivity, NoLog bool }

// wants says whether a kind is told.
func (e Events) wants(id atna.Code) bool {
	return !map[atna.Code]bool{atna.Export: e.NoExport, atna.Import: e.NoImport, atna.Transferred: e.NoTransfer, atna.SecurityAlert: e.NoAlert, atna.UserAuthentication: e.NoSignIn,
		atna.ApplicationActivity: e.NoActivity, atna.AuditLogUsed: e.NoLog}[id]
}

// Keys of an entry's detail that are read here.
const (
	keyFrom     = "from"        // address of the sender
	keyTo       = "to"          // address of the recipient
	keyID       = "message-id"  // of the message
	keySubjects = "subjects"    // transit.Subjects as JSON
	keyReport   = "report"      // not empty: the message is a report, which is about nobody's data unless subjects say otherwise
	keyRepeat   = "repeat"      // not empty: it was imported before
	keyRefused  = "refused"     // not empty: a rule keeps it from the mailbox
	keyXDM      = "xdm"         // not empty: it carries an XDM package
	keyHost     = "host"        // of the server that took it
	keyPeer     = "peer"        // IP address of who came
	keyAccount  = "account"     // address of the account
	keyCalling  = "calling"     // AE title of the device that handed objects in
	keyCalled   = "called"      // AE title that it called
	keyTaken    = "taken"       // instances that a destination has taken, of those of a study that it did not take whole
	keyTarget   = "destination" // name of the destination of a study
	keyTLS      = "tls"         // not empty: it went by TLS
	keyReason   = "reason"      // what was wrong
	keyClause   = "clause"      // by which rule
)

// frames are the messages that an entry makes, ready to be sent. What cannot be told is left out, and the log says so: one entry must not
// keep back all that come after.
func (a *Auditor) frames(r audit.Record) (out [][]byte) {
	h := a.o.Source.header(r.At)
	ms, err := a.o.Source.Messages(r, atna.Room(h))
	for i, m := range ms {
		if !a.o.Events.wants(m.Event.ID) {
			continue
		}
		text, bad := m.XML()
		if bad == nil {
			var f []byte
			if f, bad = atna.Frame(h, text); bad == nil {
				out = append(out, f)
			}
		}
		if bad != nil {
			a.o.Out.Error("an audit message cannot be told", "entry", r.ID, "part", i+1, "error", bad)
		}
	}
	if err != nil {
		a.o.Out.Error("an audit message cannot be told", "entry", r.ID, "error", err)
	}
	return out
}

// Messages are what the repository is told of one entry, each of most octets if it can be; none where the entry is not for it.
func (s Source) Messages(r audit.Record, most int) ([]atna.Message, error) {
	if r.State == audit.Broken {
		return []atna.Message{s.alert(r, atna.ObjectSecurity, "an entry of the audit log is not what was written")}, nil
	}
	k := kindOf(r.Action)
	switch k.event {
	case atna.Export:
		return s.export(r, most)
	case atna.Import:
		return s.imported(r, most)
	case atna.Transferred:
		if strings.HasPrefix(r.Action, "study.") {
			return s.given(r, most)
		}
		return s.transferred(r, most)
	case atna.SecurityAlert:
		return []atna.Message{s.alert(r, k.of, words(r))}, nil
	case atna.UserAuthentication:
		return []atna.Message{s.signIn(r)}, nil
	case atna.ApplicationActivity:
		return []atna.Message{s.activity(r, k.of)}, nil
	case atna.AuditLogUsed:
		return []atna.Message{s.logUsed(r)}, nil
	}
	return nil, nil
}

func (s Source) message(r audit.Record, id atna.Code, action atna.Action, types ...atna.Code) atna.Message {
	return atna.Message{
		Event:  atna.Event{ID: id, Action: action, At: r.At.UTC(), Types: types},
		Source: atna.Source{ID: s.ID, Site: s.Site, Type: &atna.Kind{Value: atna.ApplicationServer.Value}},
	}
}

// Octets of what strangers have written, in one message.
const (
	maxID    = 500
	maxWords = 2000
)

// clip shortens a text, at a character.
func clip(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// told says that a message is no disclosure: a report, which is about nobody, or what was told before.
func told(r audit.Record) bool {
	return r.Detail[keyReport] != "" && r.Detail[keySubjects] == "" || r.Detail[keyRepeat] != ""
}

// us is our process.
func (s Source) us(began bool, roles ...atna.Code) atna.Participant {
	p := atna.Participant{UserID: s.ID, Alternative: app, Requestor: began, Roles: roles}
	return place(p, s.Host, atna.Machine)
}

// somebody is a person, by an address, or the actor of an entry.
func somebody(id string, began bool, roles ...atna.Code) atna.Participant {
	p := atna.Participant{UserID: or(id, "unknown"), Requestor: began, Roles: roles}
	if strings.Contains(id, "@") {
		p = place(p, id, atna.Email)
	}
	return p
}

func place(p atna.Participant, at string, kind atna.AccessType) atna.Participant {
	if at != "" {
		p.Place, p.PlaceType = at, kind
	}
	return p
}

// export tells that a message was handed to a server of its recipient (PS3.15 A.5.3.4: sending by e-mail).
func (s Source) export(r audit.Record, most int) ([]atna.Message, error) {
	if told(r) {
		return nil, nil
	}
	m := s.message(r, atna.Export, atna.Read)
	medium := somebody(r.Detail[keyTo], false, atna.DestinationMedia)
	medium.Media = &atna.Media{Type: atna.Mail}
	receiver := place(atna.Participant{UserID: or(r.Detail[keyTo], "unknown"), Roles: []atna.Code{atna.Destination}}, r.Detail[keyHost], atna.Machine)
	m.Participants = []atna.Participant{somebody(r.Detail[keyFrom], true, atna.SourceRole), s.us(false, atna.SourceRole), receiver, medium}
	if r.Detail[keyFrom] == "" { // by nobody's hand
		m.Participants = []atna.Participant{s.us(true, atna.SourceRole), receiver, medium}
	}
	return s.about(m, r, atna.Disclosed, true, most)
}

// imported tells that a message was opened and laid into a mailbox (A.5.3.5).
func (s Source) imported(r audit.Record, most int) ([]atna.Message, error) {
	if told(r) {
		return nil, nil
	}
	m := s.message(r, atna.Import, atna.Create)
	medium := somebody(r.Detail[keyFrom], false, atna.SourceMedia)
	medium.Media = &atna.Media{Type: atna.Mail}
	m.Participants = []atna.Participant{s.us(true, atna.Destination), somebody(r.Detail[keyTo], false, atna.Destination),
		place(atna.Participant{UserID: or(r.Detail[keyFrom], "unknown"), Roles: []atna.Code{atna.SourceRole}}, r.Detail[keyPeer], atna.IP), medium}
	if r.Detail[keyRefused] != "" {
		m.Event.Outcome, m.Event.Words = atna.SeriousFailure, "a rule keeps it from the mailbox"
	}
	return s.about(m, r, atna.Disclosure, true, most)
}

// about adds the patients and studies, and which message it was.
func (s Source) about(m atna.Message, r audit.Record, c atna.LifeCycle, encrypted bool, most int) ([]atna.Message, error) {
	if r.Detail[keyXDM] != "" {
		m.Event.Types = []atna.Code{atna.ITI32}
	}
	var subjects transit.Subjects
	var err error
	if text := r.Detail[keySubjects]; text != "" {
		err = json.Unmarshal([]byte(text), &subjects) // what cannot be read is left out, and told of
	}
	if subjects.Left > 0 {
		m.Event.Words = join(m.Event.Words, "it is about more patients and studies than are named")
	}
	if r.State == audit.Erased {
		m.Event.Words = join(m.Event.Words, "what it was about has been erased")
	}
	if id := r.Detail[keyID]; id != "" {
		m.Objects = append(m.Objects, atna.Letter(clip(id, maxID), c))
	}
	ms, wrong := m.About(patients(subjects), c, encrypted, most)
	if wrong != nil {
		return nil, wrong
	}
	return ms, err
}

// alert tells of what concerns security (A.5.3.11).
func (s Source) alert(r audit.Record, of atna.Code, text string) atna.Message {
	m := s.message(r, atna.SecurityAlert, atna.Execute, of)
	m.Participants = []atna.Participant{s.us(true)}
	switch by := string(r.Actor); {
	case r.State == audit.Broken: // nothing in it is to be believed
	case r.Detail[keyFrom] != "" || r.Detail[keyPeer] != "":
		p := place(somebody(r.Detail[keyFrom], false), r.Detail[keyPeer], atna.IP)
		m.Participants = append(m.Participants, p)
	case strings.Contains(by, ":"): // a person; others are rooms of ours
		m.Participants = append(m.Participants, somebody(by, false))
	}
	if of == atna.NodeAuthentication || r.State == audit.Broken {
		m.Event.Outcome = atna.SeriousFailure
	}
	about := r.Object
	if r.State == audit.Broken {
		about = "audit:" + r.ID
	}
	m.Objects = []atna.Object{atna.Alert("urn:x-carepost:"+about, text)}
	return m
}

// words are what an alert says: our name of the act, and why.
func words(r audit.Record) string {
	text := r.Action
	if why := r.Detail[keyReason]; why != "" {
		text += ": " + why
		if c := r.Detail[keyClause]; c != "" {
			text += " (" + c + ")"
		}
	}
	return clip(text, maxWords)
}

// signIn tells that somebody signed in, or tried to (A.5.3.12).
func (s Source) signIn(r audit.Record) atna.Message {
	m := s.message(r, atna.UserAuthentication, atna.Execute, atna.Login)
	who := r.Detail[keyAccount]
	if strings.HasSuffix(r.Action, "-refuse") {
		m.Event.Outcome = atna.MinorFailure // RFC 3881 §5.1.4: an invalid password
	}
	p := atna.Participant{UserID: or(who, r.Object), Requestor: true}
	m.Participants = []atna.Participant{place(p, r.Detail[keyPeer], atna.IP), s.us(false)}
	return m
}

// activity tells that we begin or end (A.5.3.1).
func (s Source) activity(r audit.Record, of atna.Code) atna.Message {
	m := s.message(r, atna.ApplicationActivity, atna.Execute, of)
	m.Participants = []atna.Participant{s.us(false, atna.Application)}
	return m
}

// logUsed tells that somebody read the audit log (A.5.3.2).
func (s Source) logUsed(r audit.Record) atna.Message {
	m := s.message(r, atna.AuditLogUsed, atna.Read)
	m.Participants = []atna.Participant{somebody(string(r.Actor), true)}
	m.Objects = []atna.Object{atna.Log("urn:x-carepost:audit")}
	return m
}

// join puts two remarks together.
func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
