package intake

import (
	"context"
	"fmt"
	"strings"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/queue"
	"carepost/internal/store"
)

// holding says that a person must look, and why.
type holding struct {
	why    Why
	reason []string
}

func (h *holding) Error() string { return "intake: held: " + string(h.why) }

// unrouted holds a study that goes nowhere by itself.
func (s *Service) unrouted(d detail) *holding {
	if d.Allow.Route != "" {
		return &holding{WhyRoute, []string{fmt.Sprintf("the [[dicom.route]] %q that was chosen is gone: retry it by another one, or without", d.Allow.Route)}}
	}
	for _, r := range *s.routes.Load() {
		if r.fits(d) && r.Keep {
			return &holding{WhyRoute, []string{fmt.Sprintf("the [[dicom.route]] %q of carepost.toml keeps such studies for a person: retry --route NAME sends it by another one", r.Name)}}
		}
	}
	return &holding{WhyRoute, []string{"no [[dicom.route]] of carepost.toml fits this study: add one, and reload; then it is sent"}}
}

// hold has a study wait for a person, and tells the account that would send it, once for each reason.
func (s *Service) hold(ctx context.Context, j *queue.Job, i store.Intake, d detail, h *holding) error {
	fresh := d.Told != h.why
	d.Why, d.Reason, d.Told, d.Tries = h.why, h.reason, h.why, d.Tries+1
	if h.why == WhyRoute {
		d.Allow.Route, d.Chosen = "", ""
	}
	settle := func(tx *store.Tx) error {
		if err := tx.MoveIntake(i.ID, store.IntakeClosing, store.IntakeHeld, d.raw()); err != nil {
			return err
		}
		if err := audit.Write(tx, audit.Entry{Actor: actor, Action: "intake.hold", Object: "intake:" + i.ID,
			Detail: map[string]string{"why": string(h.why), "reason": strings.Join(h.reason, "\n")}}); err != nil {
			return err
		}
		return j.Finish(tx)
	}
	var err error
	if to := s.told(d); fresh && !to.IsZero() {
		err = s.o.Flow.Tell(ctx, to, "Not sent: a study from a device waits", letter(i, d), settle)
	} else {
		err = s.o.Store.Tx(ctx, settle)
	}
	if err == nil {
		s.o.Log.Warn("a study from a device waits for a person", "intake", i.ID, "why", string(h.why))
	}
	return err
}

// told is the account that is told of a study that waits: the one that would send it, else the one that the operator names.
func (s *Service) told(d detail) addr.Address {
	if r, ok := s.route(d); ok {
		return r.From
	}
	if !d.Origin.From.IsZero() {
		return d.Origin.From
	}
	return s.o.Tell
}

// letter says that a study waits. It names no patient: who may know looks it up.
func letter(i store.Intake, d detail) string {
	var b strings.Builder
	b.WriteString("A study that a device has handed in was NOT sent. It waits for a person.\n\n")
	for _, r := range d.Reason {
		fmt.Fprintf(&b, "  Why:    %s\n", r)
	}
	fmt.Fprintf(&b, "  Device: %s, calling %s\n  Study:  %s (%s)\n", d.Origin.Calling, d.Origin.Called, i.ID, count(int(i.Objects), "object"))
	fmt.Fprintf(&b, "  Came:   until %s\n\n", i.Last.UTC().Format("Monday, 2 January 2006, 15:04 MST"))
	fmt.Fprintf(&b, "  carepost dicom intake show %[1]s   whom it is about\n  carepost dicom intake retry %[1]s  sends it\n"+
		"  carepost dicom intake drop %[1]s   gives it up\n\n", i.ID)
	b.WriteString("The operator of your gateway can do so, once the reason is gone or overruled.\nNothing is lost meanwhile.\n")
	return b.String()
}
