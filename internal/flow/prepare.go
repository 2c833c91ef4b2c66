package flow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// prepared is a message of one of our accounts as it is to be sealed.
type prepared struct {
	draft   *blob.Draft       // nil: as it was submitted; else the caller discards it
	attests string            // who answers for the disclosure of a File-set (PS3.15 B.8 d); empty: there is none
	detail  map[string]string // for the audit

	division *division // the set is too large for one mail, and this is its first part
	close    func()    // forgets what the further parts are made of; may be nil
}

func (p *prepared) discard() {
	if p.close != nil {
		p.close()
	}
	if p.draft != nil {
		p.draft.Discard()
	}
}

// preparing is the work on one message.
type preparing struct {
	f       *Flow
	env     transit.Envelope
	body    *blob.Body
	root    *message.Part
	wants   wants
	whole   bool              // it is not to be divided
	set     *message.Part     // the DICOM.ZIP
	ready   attachedSet       // what it holds
	loose   []*message.Part   // or images, and ZIPs with images, in whose place a new one stands
	plan    *fileset.Plan     // of these
	tree    []fileset.Patient // of either
	done    prepared
	changes []splice
	open    []func() // to be called when the work is over
}

// prepare has a message leave as PS3.11 X.3.2 wants one with a File-set: whatever mail program attached it, header and subject are made exact, and a
// set that is not COMPLETE does not leave. *Refusal, with the remedy. What must stand in every body is added where it is missing. A mail that its
// program has signed is not changed where the signature covers it. Who signs attests to be authorised to disclose (PS3.15 B.8 d): that
// stands in the body of a mail with a set, and in the audit.
func (f *Flow) prepare(ctx context.Context, by audit.Actor, env transit.Envelope, d *blob.Draft, h message.Header, whole bool) (_ prepared, err error) {
	p := &preparing{f: f, env: env, whole: whole, done: prepared{detail: map[string]string{}}}
	if p.wants, err = f.wanted(ctx, env); err != nil {
		return p.done, err
	}
	if p.wants.statement == nil && !p.wants.retitled && (!p.wants.exact || !mayHold(h)) {
		return p.done, nil
	}
	if p.body, err = d.Body(); err != nil {
		return p.done, fmt.Errorf("flow: accept: %w", err)
	}
	defer func() {
		if err != nil || p.done.division == nil {
			p.close()
		}
	}()
	if p.root, err = message.Parse(p.body, p.body.Size(), message.Limits{}); err != nil {
		return p.done, unlessContent(err) // sealing says what is wrong with it
	}
	if p.wants.exact {
		if err := p.findSet(ctx); err != nil {
			return p.done, err
		}
	}
	if p.tree != nil {
		p.done.attests = or(env.Responsible, string(by))
		p.done.detail["attests"] = p.done.attests
		if err := p.subject(); err != nil {
			return p.done, err
		}
		if err := p.divide(ctx); err != nil {
			return p.done, err
		}
	}
	if err := p.change(ctx); err != nil {
		return p.done, err
	}
	if len(p.changes) > 0 {
		p.done.draft, err = f.spliced(p.body, p.changes)
	}
	if p.done.division != nil {
		p.done.close = sync.OnceFunc(p.close)
	}
	return p.done, err
}

// close forgets what was opened and made on the way.
func (p *preparing) close() {
	for _, end := range p.open {
		end()
	}
	p.body.Close()
}

// wants is what rules ask of a message when it is taken.
type wants struct {
	exact     bool     // File-sets leave as the standard has them
	statement []string // that must stand in the body
	unsigned  bool     // to somebody it goes without a signature (DCM-32)
	retitled  bool     // to somebody with a neutral subject in the place of its own
}

// wanted asks the rules about all recipients: what one of them asks for, the message is like for all.
func (f *Flow) wanted(ctx context.Context, env transit.Envelope) (w wants, err error) {
	homes, err := f.homesOf(ctx, env.To)
	if err != nil {
		return w, err
	}
	for _, to := range homes {
		r := f.Rules.Of(env.From.Address, to, transit.Outbound)
		w.exact = w.exact || r.Sets != rule.AsTheyAre
		w.unsigned = w.unsigned || r.Form == rule.Plain
		w.retitled = w.retitled || r.Form == rule.SMIME && r.Subject == rule.Neutral
		if r.Statement != "" && !slices.Contains(w.statement, r.Statement) {
			w.statement = append(w.statement, r.Statement)
		}
	}
	return w, nil
}

// mayHold says whether it is worth looking for a set in a message: a text that has a name may be a file of whatever kind.
func mayHold(h message.Header) bool {
	t, err := h.ContentType()
	return err == nil && (t.Type != "text" || h.Has("Content-Disposition") || t.Params["name"] != "" || t.Params["id"] != "")
}

// findSet looks for a File-set, and refuses one that the recipient could not rely on. What is whole, and only packed otherwise than the standard
// has it, or in several ZIPs, is packed anew.
func (p *preparing) findSet(ctx context.Context) error {
	sets, err := p.sets(ctx)
	if err != nil {
		return err
	}
	if len(sets) == 0 {
		return p.packLoose(ctx)
	}
	if len(p.root.Parts) > 0 && !p.root.Closed {
		return &Refusal{"RFC 2046 §5.1.1", "the mail is cut: its last boundary is missing; send it again"}
	}
	loose, err := p.looseImages()
	if err != nil {
		return err
	}
	if err := p.nothingBeside(sets, loose); err != nil {
		return err
	}
	x := sets[0]
	if len(sets) > 1 || len(loose) > 0 || !p.may(x.report) && x.pieces != nil {
		return p.repack(ctx, sets, loose)
	}
	p.set, p.tree, p.ready = x.part, x.report.Tree, x
	if p.tree == nil {
		p.tree = []fileset.Patient{}
	}
	p.done.detail["file-set"] = fileSetWords(x.report)
	return p.fit(x.report)
}

// papers says that an archive is whole, and holds neither a DICOMDIR nor any DICOM object.
func papers(r *fileset.Report) bool {
	return r.Found == 0 && r.Instances == 0 && r.Verdict > fileset.Damaged &&
		slices.ContainsFunc(r.Findings, func(x fileset.Finding) bool { return x.Rule == "no-dicomdir" })
}

// may says that a set may leave as it is.
func (p *preparing) may(r *fileset.Report) bool {
	return r.Verdict == fileset.Complete || r.Verdict == fileset.Violations && p.overruled(r)
}

// fit says whether a set may leave. What its findings say of files and people is not told: the answer stands in logs of mail programs.
func (p *preparing) fit(r *fileset.Report) error {
	if p.may(r) {
		return nil
	}
	clause, name := "PS3.11 X.3.3", ""
	if len(r.Findings) > 0 {
		clause, name = r.Findings[0].Source, " ("+r.Findings[0].Rule+")"
	}
	const anew = "; make it anew from all images with a DICOM program or with \"carepost dicom pack\""
	var why string
	switch {
	case r.Findings != nil && r.Findings[0].Rule == "no-dicomdir":
		why = "the attached ZIP is no File-set: it has no DICOMDIR" + anew
	case name == " (zip-encrypted)":
		why = "the attached DICOM.ZIP has a password of its own, and no program could open it" + name + "; pack it without: the mail is sealed as a whole"
	case r.Verdict == fileset.Damaged:
		why = "the attached DICOM.ZIP is damaged" + name + anew
	case r.Verdict == fileset.Incomplete && r.Found == r.Instances:
		why = "the attached DICOM.ZIP lacks a file that it names" + name + anew
	case r.Verdict == fileset.Incomplete:
		why = fmt.Sprintf("the attached DICOM.ZIP lacks %d of the %d instances that its DICOMDIR names%s%s", r.Instances-r.Found, r.Instances, name, anew)
	case name == " (wrapping-folder)":
		why = "the attached DICOM.ZIP has its DICOMDIR in a folder" + name + "; zip what is in the folder, not the folder"
	default:
		why = "the attached DICOM.ZIP breaks a rule of the standard" + name + anew
	}
	return &Refusal{clause, why}
}

// overruled says that a sender knows of all in which a set breaks the rules.
func (p *preparing) overruled(r *fileset.Report) bool {
	for _, x := range r.Findings {
		if x.Severity != fileset.Note && !slices.Contains(p.env.Overruled, string(fileset.Overrules(x))) {
			return false
		}
	}
	return true
}

// subject refuses one that names a patient of the set (PS3.15 B.8 note 2).
func (p *preparing) subject() error {
	if !zipmail.NamesPatient(p.root.Header.Text("Subject"), p.tree) {
		return nil
	}
	if slices.Contains(p.env.Overruled, string(zipmail.NamedSubject)) {
		return nil
	}
	return &Refusal{"PS3.15 B.8", "the subject names a patient of the File-set, and subjects are seen by others; say it in the text instead"}
}

// homesOf are the addresses by which rules speak of recipients.
func (f *Flow) homesOf(ctx context.Context, to []addr.Address) ([]addr.Address, error) {
	if len(f.Rules) == 0 {
		return to, nil
	}
	out := slices.Clone(to)
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		for i, a := range to {
			if out[i], _, err = home(tx, a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("flow: accept: %w", err)
	}
	return out, nil
}

// signedBy says that a signature of the mail program covers a part: it must stay as it is.
func signedBy(root, part *message.Part) bool {
	for p := range root.Walk() {
		if (p.Type.Is("multipart", "signed") || p.Type.Is("multipart", "encrypted") || strings.HasSuffix(p.Type.Subtype, "pkcs7-mime")) && part.Start >= p.Body && part.End <= p.End {
			return true
		}
	}
	return false
}
