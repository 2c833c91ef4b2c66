package gateway

import (
	"context"
	"errors"
	"net/http"

	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/handover"
)

// handoverHost lets operators see and move studies that are on their way to a PACS.
func (g *Gateway) handoverHost() admind.HandoverHost {
	s := func() *handover.Service { return g.handovers }
	return admind.HandoverHost{
		List: g.listHandovers, Test: g.testDestination,
		Show: func(ctx context.Context, by audit.Actor, id string) (admind.Handover, error) {
			e, err := s().Show(ctx, by, id)
			out := told(e)
			for _, r := range e.Detail.Refused {
				out.Refusals = append(out.Refusals, admind.Refusal(r))
			}
			return out, err
		},
		Retry: func(ctx context.Context, by audit.Actor, id string) error { return s().Retry(ctx, by, id) },
		Drop:  func(ctx context.Context, by audit.Actor, id string) error { return s().Drop(ctx, by, id) },
	}
}

func (g *Gateway) listHandovers(ctx context.Context, ended bool) (admind.Handovers, error) {
	out := admind.Handovers{Destinations: append([]string{}, g.handovers.Names()...), Handovers: []admind.Handover{}}
	all, err := g.handovers.List(ctx, ended)
	for _, e := range all {
		out.Handovers = append(out.Handovers, told(e))
	}
	return out, err
}

func told(e handover.Entry) admind.Handover {
	out := admind.Handover{
		ID: e.ID, Destination: e.Target, Account: e.To.String(), UID: e.UID, Message: e.Message, State: string(e.State), Instances: e.Total, Taken: e.Taken,
		Refused: e.Fates[handover.Refused], Warnings: e.Fates[handover.Warned], Letters: len(e.Detail.Letter), Note: e.Detail.Note, Reason: e.Detail.Reason, Verdict: e.Detail.Verdict, Attempts: e.Attempts,
		Created: e.Created, Changed: e.Changed, Next: known(e.Next),
	}
	if e.Error != "" {
		out.Reason = e.Error
	}
	if e.Idle {
		out.State = "idle"
	}
	return out
}

func (g *Gateway) testDestination(ctx context.Context, by audit.Actor, name string) (refused, err error) {
	refused, err = g.handovers.Test(ctx, by, name)
	if errors.Is(err, handover.ErrUnknown) {
		err = &admind.Error{Status: http.StatusNotFound, Code: admind.NotFound, Reason: "carepost.toml has no [[dicom.out]] of that name: carepost dicom out list shows them"}
	}
	return refused, err
}
