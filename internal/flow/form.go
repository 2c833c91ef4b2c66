package flow

import (
	"context"
	"crypto/x509"
	"errors"
	"regexp"
	"slices"
	"strings"

	"carepost/addr"
	"carepost/cms"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/agent"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/smime"
	"carepost/trust"
)

// errNoOwnCertificate says that one of our own addresses has no certificate of its own to sign with now.
var errNoOwnCertificate = errors.New("flow: no valid certificate of the sender's own address to sign with")

// form is how mail goes between an address of ours and others, as the rules of the operator say. In the name of several others, of whom one is
// no such partner, it is Direct, and of nobody known yet too.
func (f *Flow) form(ours addr.Address, d transit.Direction, theirs ...addr.Address) rule.Form {
	form := rule.Form(0)
	for _, t := range theirs {
		said := f.Rules.Of(ours, t, d).Form
		if said == 0 || form != 0 && said != form {
			return rule.Direct
		}
		form = said
	}
	return max(form, rule.Direct)
}

// of is party as it deals with others: by their profile, and by their form.
func (f *Flow) of(party agent.Party, ours addr.Address, d transit.Direction, theirs ...addr.Address) agent.Party {
	party = party.Under(f.profile(ours, d, theirs...))
	party.SMIME = f.form(ours, d, theirs...) == rule.SMIME
	return party
}

// unwrapped changes how a group is sealed whose recipients know no Direct (PS3.15 B.8): not wrapped, so that its subject stands outside.
func (m *outgoing) unwrapped(o smime.SealOptions, subject string) smime.SealOptions {
	o.Unwrapped, o.Alone, o.Blind = true, true, addr.Address{}
	o.Outer = smime.VisibleHeader(subject)
	return o
}

// numbered is the phrase of PS3.11 X.3.2 e with which of several File-sets a mail holds.
var numbered = regexp.MustCompile(zipmail.SubjectPhrase + ` +(\(?[0-9]{1,4} ?(/|of) ?[0-9]{1,4}\)?)( |$)`)

// visible is the subject that everybody on the way reads, of mail to a recipient in the form SMIME; empty where it is the sender's own. A
// notice of ours has one that says nothing.
func (f *Flow) visible(m *outgoing, to addr.Address) string {
	subject := m.header.Text("Subject")
	switch f.Rules.Of(m.Envelope.From.Address, to, transit.Outbound).Subject {
	case rule.Neutral:
	default:
		if !exempt(m.Message) && subject != "" {
			return ""
		}
	}
	switch part := numbered.FindStringSubmatch(subject); {
	case exempt(m.Message):
		return "Notice"
	case part != nil:
		return zipmail.SubjectPhrase + " " + part[1]
	case zipmail.HasPhrase(subject):
		return zipmail.SubjectPhrase
	}
	return "Sealed message"
}

// ways sorts recipients by how their mail is decided about and sealed: what is done the one way has nothing to do with the others.
func (f *Flow) ways(m *outgoing) (ways []way) {
	for i, r := range m.waiting {
		from := m.Envelope.From.Address
		w := way{policy: f.profile(from, transit.Outbound, r.Address)}
		if f.form(from, transit.Outbound, r.Address) == rule.SMIME {
			w.smime, w.subject = true, f.visible(m, r.Address)
		}
		at := slices.IndexFunc(ways, func(x way) bool { return x.policy == w.policy && x.smime == w.smime && x.subject == w.subject })
		if at < 0 {
			at, ways = len(ways), append(ways, w)
		}
		ways[at].rows = append(ways[at].rows, i)
	}
	return ways
}

type way struct {
	policy  trust.Policy
	smime   bool
	subject string
	rows    []int // of outgoing.waiting
}

// tells are the failures of a group whose visible subject would name a patient (PS3.15 B.8 note 2, DIR-49).
func (f *Flow) tells(m *outgoing, g agent.Group) (failed []failure) {
	if !g.SMIME || f.visible(m, g.To[0]) != "" || !m.names() {
		return nil
	}
	for _, r := range m.of(g) {
		failed = append(failed, failure{r, transit.Refuse, "5.7.1", "PS3.15 B.8", "the subject names a patient, and on the way to this recipient everybody can read it",
			map[string]string{"remedy": "send it again with a subject that names nobody."}})
	}
	return failed
}

// names says that the subject names somebody whom the message is about, and its sender has not taken that on himself.
func (m *outgoing) names() bool {
	if m.Header.Subjects == nil || m.Header.Named {
		return false
	}
	var all []fileset.Patient
	for _, p := range m.Header.Subjects.Patients {
		number, _, _ := strings.Cut(p.ID, "^^^") // without who gave it (HL7 CX)
		all = append(all, fileset.Patient{ID: number, Name: p.Name})
	}
	return zipmail.NamesPatient(m.header.Text("Subject"), all)
}

// unnameable are the failures of a group that takes only what is signed in the sender's own name.
func (m *outgoing) unnameable(g agent.Group) (failed []failure) {
	for _, r := range m.of(g) {
		failed = append(failed, failure{r, transit.Refuse, "5.7.5", "PS3.15 B.8",
			"the recipient's mail program believes a letter that is signed with a certificate of its sender's own address, and the sender has none",
			map[string]string{"remedy": "ask your administrator for one (carepost cert issue, or cert request), then send it again."}})
	}
	return failed
}

// ownName has a certificate name addresses themselves, as office programs want it of From, and not their domain alone (Direct 4.1.1).
func ownName(all ...addr.Address) func(*x509.Certificate) bool {
	return func(c *x509.Certificate) bool {
		return !slices.ContainsFunc(all, func(a addr.Address) bool {
			binding, _ := trust.Names(c, a)
			return binding != trust.AddressBound
		})
	}
}

// authors are the addresses that a signature in the form SMIME names.
func (m *outgoing) authors() []addr.Address {
	return append(m.inNameOf(), m.Envelope.From.Address)
}

// unasked says that the sender of an arrival expects no notices, and has asked for none: a partner who knows nothing of Direct (DCM-17).
func (f *Flow) unasked(a *arrival, r store.Recipient, head store.Header) bool {
	return !head.Receipt && f.form(a.home(r), transit.Inbound, a.judged[r.ID].Senders...) == rule.SMIME
}

// signerFor signs for a group. A notice of ours, which nobody in an office reads, may be signed by the organisation's certificate.
func (f *Flow) signerFor(ctx context.Context, m *outgoing, g agent.Group) (cms.Signer, error) {
	account := m.Envelope.From.Address
	if g.SMIME {
		s, err := f.signerThat(ctx, g.Policy, account, m.now, ownName(m.authors()...))
		switch {
		case err == nil:
			return s, nil
		case !errors.Is(err, errNoCertificate):
			return s, err
		case !exempt(m.Message):
			return s, errNoOwnCertificate
		}
	}
	return f.signer(ctx, g.Policy, account, m.now, m.inNameOf()...)
}

func formWords(g agent.Group) string {
	if !g.SMIME {
		return ""
	}
	return "plain S/MIME (PS3.15 B.8): not wrapped, so that everybody on the way can read the subject"
}

// unanswered ends the duties about an arrival of whose receipt nobody wants to be told. That it is of no use its sender learns all the same.
func (f *Flow) unanswered(tx *store.Tx, r store.Recipient, clause, detail string, failing bool) error {
	if err := f.move(tx, r, transit.TakeNote, clause, detail+"\nnot answered: its sender knows no Direct, and has not asked"); err != nil {
		return err
	}
	if !failing {
		return nil
	}
	return tx.InsertWork(&store.Work{Kind: kindFailure, Ref: r.ID, Unique: kindFailure + ":" + r.ID})
}
