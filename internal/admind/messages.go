package admind

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"carepost/addr"
	"carepost/dicom/deid"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/flow"
	"carepost/internal/transit"
)

// mostRecipients of one message; each is a row and a certificate to find.
const mostRecipients = 1000

// submit takes a message of one of our accounts. The envelope is judged before the body is asked for (RFC 9110 §10.1.1).
func (s *Server) submit(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, err := addr.Parse(q.Get("from"))
	if err != nil {
		s.fail(w, wrong("from: not an address"))
		return
	}
	if len(q["to"]) > mostRecipients {
		s.fail(w, wrong("too many recipients for one message"))
		return
	}
	var to []addr.Address
	for _, text := range q["to"] {
		a, err := addr.Parse(text)
		if err != nil {
			s.fail(w, wrong("to: not an address"))
			return
		}
		to = append(to, a)
	}
	for _, c := range q["overruled"] {
		if x := fileset.Conflict(c); x != zipmail.NamedSubject && !slices.Contains(fileset.Conflicts(), x) {
			s.fail(w, wrong("overruled: none of the conflicts of a File-set"))
			return
		}
	}
	largest, err := strconv.ParseInt(cmp.Or(q.Get("largest"), "0"), 10, 64)
	if err != nil || largest < 0 {
		s.fail(w, wrong("largest: a number of bytes"))
		return
	}
	if !deidentified(q.Get("deidentified")) {
		s.fail(w, wrong("deidentified: none of the options of PS3.15 Annex E"))
		return
	}
	env := transit.Envelope{From: addr.Path{Address: from}, To: to, Overruled: q["overruled"], Largest: largest, Deidentified: q.Get("deidentified")}
	id, err := s.o.Flow.Submit(r.Context(), actor(r), env, r.Body)
	s.answer(w, map[string]string{"id": id}, err)
}

func (s *Server) timeline(w http.ResponseWriter, r *http.Request) {
	seen, err := strconv.ParseInt(cmp.Or(r.URL.Query().Get("seen"), "-1"), 10, 64)
	if err != nil {
		s.fail(w, wrong("seen: the number of an event"))
		return
	}
	t, err := s.o.Flow.News(r.Context(), actor(r), r.PathValue("id"), seen)
	switch {
	case errors.Is(err, flow.ErrNoNews):
		s.answer(w, Timeline{}, nil)
	case err != nil:
		s.fail(w, err)
	default:
		s.answer(w, told(t), nil)
	}
}

// deidentified says that a sender names what the audit log can be told: words of ours alone.
func deidentified(said string) bool {
	for o := range strings.SplitSeq(said, ",") {
		if _, err := deid.ParseOptions(o); err != nil && o != "basic" && o != "allow-burned-in" {
			return false
		}
	}
	return true
}

// messagesNamed finds messages by their Message-ID.
func (s *Server) messagesNamed(w http.ResponseWriter, r *http.Request) {
	ids, err := s.o.Flow.Named(r.Context(), actor(r), r.URL.Query().Get("message_id"))
	s.answer(w, ids, err)
}

// told is a timeline in our words.
func told(t flow.Timeline) Timeline {
	m := t.Message
	out := Timeline{
		ID: m.ID, Direction: "inbound", Stage: string(m.State), Subject: m.Header.Subject, MessageID: m.Header.MessageID,
		Size: m.Size, Received: m.Received, Expires: m.Expires, FinalDelivery: m.Header.FinalDelivery && m.Direction == transit.Outbound,
		Recipients: []Recipient{}, Events: []Event{}, Transfer: m.Header.Transfer,
	}
	if m.Direction == transit.Outbound {
		out.Direction = "outbound"
	}
	if !m.Envelope.From.IsNull() {
		out.From = m.Envelope.From.Address.String()
	}
	refused := map[string]bool{}
	for _, e := range t.Events {
		out.Events = append(out.Events, Event{Seq: e.Seq, At: e.At, Recipient: e.Recipient, From: e.From, To: e.To, Cause: e.Cause, Detail: e.Detail})
		if e.To == string(transit.Failed) {
			refused[e.Recipient] = saysNo(e.Cause, e.Detail)
		}
	}
	for _, r := range t.Recipients {
		result, awaits := flow.ResultOf(m, r)
		out.Recipients = append(out.Recipients, Recipient{
			Result: string(result), Awaits: awaits, Processed: r.Processed, Dispatched: r.Dispatched, Failed: r.Failed,
			ID: r.ID, Address: r.Address, State: string(r.State), Final: r.State.Final(), Attempts: r.Attempts, Code: r.Code, Text: r.Text,
			Refused: refused[r.ID], Sent: r.Sent, Deadline: r.Deadline,
		})
	}
	return out
}

// saysNo tells a rule, or somebody who applied one, from time that ran out and from the operator who gave up: these cite
// RFC 5321 §4.5.4.1, Direct 3.2 (no notice came) and RFC 3463. A notice of failure that came cites Direct 3.2 as well: its detail says so.
func saysNo(clause, detail string) bool {
	if clause == "Direct 3.2" {
		return strings.HasPrefix(detail, "notice: ")
	}
	return strings.HasPrefix(clause, "Direct ") || strings.HasPrefix(clause, "PS3.") || clause == "RFC 5321 §4.2.1"
}
