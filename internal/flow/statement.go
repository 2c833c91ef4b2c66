package flow

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"

	"carepost/addr"
	"carepost/dsn"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/message"
)

const (
	maxStatements = 2000     // of one report that are looked at
	maxOriginals  = 8        // Message-IDs that a report may be about
	maxReturned   = 64 << 10 // bytes of the original's header in a report
)

// claim is what a report says of a recipient.
type claim uint8

const (
	nothing   claim = iota
	takenOver       // processed (Direct 3.2)
	delivered       // dispatched, with the field that the delivery notification asks for
	arrived         // it is there, by a word that no promise hangs on: displayed, dispatched without the field, a DSN's delivered
	passing         // it is on its way: a DSN's delayed, relayed, expanded
	lost            // failed
)

// said is one statement of a report, in the terms of both forms.
type said struct {
	about  []addr.Address // as written: one of them is the recipient
	claim  claim
	words  string // for the timeline
	reason string // of a failure
	code   string // of a failure (RFC 3463); may be empty
	show   bool   // a person is to see the report itself
}

// told is a report as far as it is about earlier messages.
type told struct {
	originals []string // Message-IDs of the message that it may be about, the likeliest first
	envelope  string   // or its ENVID
	all       []said
}

// statements reads a report of either form. What cannot be read says nothing.
func statements(body transit.Body) (told, error) {
	root, err := message.Parse(body, body.Size(), message.Limits{})
	if err != nil {
		return told{}, unlessContent(err)
	}
	n, err := mdn.Parse(root, body)
	if err == nil {
		other, _ := n.Extension("X-Original-Message-ID")
		return told{originals: originals(root, body, n.OriginalMessageID, message.ParseID(other)), all: []said{fromMDN(n)}}, nil
	}
	if !errors.Is(err, mdn.ErrNotMDN) {
		return told{}, unlessContent(err)
	}
	r, err := dsn.Parse(root, body)
	if errors.Is(err, dsn.ErrNotDSN) {
		return told{}, nil
	}
	if err != nil {
		return told{}, unlessContent(err)
	}
	return told{originals: originals(root, body, r.OriginalMessageID), envelope: r.OriginalEnvelopeID, all: fromDSN(r)}, nil
}

// unlessContent keeps errors of the disk and drops those that are about what the report says.
func unlessContent(err error) error {
	for _, e := range []error{message.ErrSyntax, message.ErrLimit, message.ErrAmbiguous, message.ErrEncoding, message.ErrNotReport} {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// originals lists what the message may be that a report is about: what its own field says, and nothing else where it says one (Direct 3.1.2);
// without it In-Reply-To, the last of References, and the header that it returns, which is all that ordinary mail servers give.
func originals(root *message.Part, body transit.Body, named ...string) (ids []string) {
	for _, id := range named {
		if id != "" {
			return []string{id}
		}
	}
	ids = append(ids, root.Header.MessageIDs("In-Reply-To")...)
	if refs := root.Header.MessageIDs("References"); len(refs) > 0 {
		ids = append(ids, refs[len(refs)-1])
	}
	for _, p := range root.Parts {
		if p.Type.Is("text", "rfc822-headers") || p.Type.Is("message", "rfc822") {
			r := io.MultiReader(io.LimitReader(p.Open(body), maxReturned), strings.NewReader("\r\n\r\n")) // headers alone need no blank line
			if h, err := message.ReadHeader(bufio.NewReader(r), message.Limits{}); err == nil {
				ids = append(ids, h.MessageID())
			}
		}
	}
	var out []string
	for _, id := range ids {
		if id != "" && !slices.Contains(out, id) && len(out) < maxOriginals {
			out = append(out, id)
		}
	}
	return out
}

func fromMDN(n *mdn.Notice) said {
	s := said{about: []addr.Address{n.OriginalRecipient, n.FinalRecipient}}
	if n.OriginalRecipient.IsZero() && n.FinalRecipient.IsZero() {
		s.about = []addr.Address{n.From}
	}
	switch {
	case n.Failing():
		s.claim, s.words = lost, "failed notice"
		s.reason = or(n.Failure, or(n.Error, "no reason is given"))
	case n.Disposition == mdn.Processed:
		s.claim, s.words = takenOver, "processed notice, signed and encrypted"
	case n.FinalDelivery():
		s.claim, s.words = delivered, "dispatched notice: it has been delivered to its final destination"
	case n.Disposition == mdn.Dispatched:
		s.claim, s.words = arrived, "dispatched notice, without the word of a final delivery"
	case n.Disposition == mdn.Displayed:
		s.claim, s.words, s.show = arrived, "displayed notice: somebody has opened it", true
	}
	return s
}

func fromDSN(r *dsn.Report) (all []said) {
	for _, st := range r.Recipients[:min(len(r.Recipients), maxStatements)] {
		s := said{about: []addr.Address{st.OriginalRecipient, st.FinalRecipient}}
		switch st.Action {
		case dsn.Failed:
			s.claim, s.words, s.reason = lost, "failed notice", or(st.Comment, or(st.Diagnostic, "no reason is given"))
			if !strings.HasPrefix(st.Code, "2") {
				s.code = st.Code
			}
		case dsn.Delivered:
			s.claim, s.words, s.show = arrived, "delivered notice", true
		case dsn.Delayed, dsn.Relayed, dsn.Expanded:
			s.claim, s.words, s.show = passing, string(st.Action)+" notice", true
		default:
			continue
		}
		all = append(all, s)
	}
	return all
}

// keys are the addresses that a statement names, to be compared.
func (s said) keys(of func(addr.Address) addr.Address) (keys []string) {
	for _, a := range s.about {
		if !a.IsZero() {
			keys = append(keys, of(a).Key())
		}
	}
	return keys
}

// within says that a statement names nobody outside d.
func (s said) within(d addr.Domain) bool {
	return !slices.ContainsFunc(s.about, func(a addr.Address) bool { return !a.IsZero() && a.Domain != d })
}

// aboutAnother says that a statement names other recipients of the message, and not r: then it is not about him under another name.
func (s said) aboutAnother(r store.Recipient, rows []store.Recipient) bool {
	keys := s.keys(written)
	return !slices.Contains(keys, r.Address.Key()) &&
		slices.ContainsFunc(rows, func(x store.Recipient) bool { return x.ID != r.ID && slices.Contains(keys, x.Address.Key()) })
}

func written(a addr.Address) addr.Address { return a }

// untagged is the mailbox of an address with a '+tag', as people understand it; of trust or certificates it decides nothing.
func untagged(a addr.Address) addr.Address {
	if i := strings.IndexByte(a.Endpoint, '+'); i > 0 {
		a.Endpoint = a.Endpoint[:i]
	}
	return a
}

// match finds what a report says of each recipient that it may speak of, by their places in rows: the address as written; else the same
// mailbox under another tag, where no other recipient has it; else, where a report of one statement comes from the side of one
// recipient alone, it is about him, whatever name he has over there (an alias, a list, none at all). Of two statements about one, the
// failure counts.
func match(all []said, rows []store.Recipient) map[int]said {
	asWritten, mailboxes := map[string]int{}, map[string][]int{}
	for i, r := range rows {
		asWritten[r.Address.Key()] = i
		box := untagged(r.Address).Key()
		mailboxes[box] = append(mailboxes[box], i)
	}
	out := map[int]said{}
	exact := map[int]bool{}
	put := func(i int, s said) {
		if had, ok := out[i]; !ok || s.claim == lost && had.claim != lost {
			out[i] = s
		}
	}
	var others []said // that name no recipient as he is written
	for _, s := range all {
		if s.claim == nothing {
			continue
		}
		named := false
		for _, k := range s.keys(written) {
			if i, ok := asWritten[k]; ok && !named {
				named, exact[i] = true, true
				put(i, s)
			}
		}
		if !named {
			others = append(others, s)
		}
	}
	for _, s := range others {
		at := -1
		for _, k := range s.keys(untagged) {
			if same := mailboxes[k]; len(same) == 1 && at < 0 {
				at = same[0]
			}
		}
		if at < 0 && len(rows) == 1 && len(all) == 1 && s.within(rows[0].Address.Domain) {
			at = 0
		}
		if at >= 0 && !exact[at] {
			put(at, s)
		}
	}
	return out
}
