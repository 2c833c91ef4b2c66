package flow

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

const kindFragments = "fragments" // the rest has not come in time; about a transfer

// Bounds on messages that come in fragments, which anybody may send: nothing of them is opened before they are together.
const (
	maxFragments     = 1000               // of one message
	maxRejoined      = 16 << 30           // octets of them together
	maxFragmented    = 1000               // messages of which fragments are missing
	keepFragments    = 3 * 24 * time.Hour // from the first that came
	clauseFragmented = "RFC 2046 §5.2.2"
)

// fragment is a part of a message that was divided on its way (RFC 2046 §5.2.2).
type fragment struct {
	id    string
	n, of int // of is 0 where it does not say
}

// fragmentOf reads what a header says of being a fragment; is says that it is one, and the reason why it is no good, if it is not.
func fragmentOf(h message.Header) (p fragment, is bool, reason string) {
	t, err := h.ContentType()
	if err != nil || !t.Is("message", "partial") {
		return p, false, ""
	}
	enc, err := h.Encoding()
	if err != nil || enc != "7bit" && enc != "8bit" && enc != "binary" {
		return p, true, "a fragment of a message is encoded, which it must not be"
	}
	p.id = t.Params["id"]
	if p.n, err = strconv.Atoi(t.Params["number"]); err != nil || p.n < 1 || p.n > maxFragments || p.id == "" || len(p.id) > 1000 {
		return p, true, "a fragment of a message does not say which it is"
	}
	if total, there := t.Params["total"]; there {
		if p.of, err = strconv.Atoi(total); err != nil || p.of < p.n || p.of > maxFragments {
			return p, true, "a fragment of a message does not say of how many it is"
		}
	}
	return p, true, ""
}

// rejoin keeps a fragment until the others of its message have come, and puts them together: what results is taken like any other message that
// comes. is says that the arrival is a fragment. All of it has one envelope: nobody adds to what another sends.
func (f *Flow) rejoin(ctx context.Context, j *queue.Job, a *arrival) (is bool, err error) {
	raw, err := f.bodyOf(a.raw)
	if err != nil {
		return false, err
	}
	defer raw.Close()
	h, err := readHeader(raw)
	if err != nil {
		return false, nil // others say what is wrong with it
	}
	p, is, reason := fragmentOf(h)
	if !is {
		return false, nil
	}
	if reason != "" {
		return true, f.setAside(ctx, j, a, clauseFragmented, reason)
	}
	var t store.Transfer
	var all bool
	err = f.Store.Tx(ctx, func(tx *store.Tx) (err error) {
		t, all, reason, err = f.keepFragment(tx, a, p)
		if err != nil || reason != "" || all {
			return err
		}
		return j.Finish(tx)
	})
	switch {
	case err != nil:
		return true, fmt.Errorf("flow: fragment: %w", err)
	case reason != "":
		return true, f.setAside(ctx, j, a, clauseFragmented, reason)
	case !all:
		return true, nil
	}
	crash.Point("rejoin.kept")
	return true, f.together(ctx, j, t)
}

// keepFragment notes that a fragment is there. all says that none is missing.
func (f *Flow) keepFragment(tx *store.Tx, a *arrival, p fragment) (t store.Transfer, all bool, reason string, err error) {
	waiting, err := tx.Transfers("", store.Fragments, maxFragmented)
	if err != nil {
		return t, false, "", err
	}
	t = store.Transfer{Kind: store.Fragments}
	fresh, err := tx.HoldTransfer(&t, a.fragmentKey(p.id))
	switch {
	case err != nil:
		return t, false, "", err
	case fresh && len(waiting) >= maxFragmented:
		return t, false, "too many messages wait for fragments of theirs", tx.RemoveTransfer(t.ID)
	case fresh:
		err = tx.InsertWork(&store.Work{Kind: kindFragments, Ref: t.ID, After: keepFragments, Unique: kindFragments + ":" + t.ID})
		if err != nil {
			return t, false, "", err
		}
	}
	i := slices.IndexFunc(t.Parts, func(q store.TransferPart) bool { return q.N == p.n })
	sum := int64(0)
	for _, q := range t.Parts {
		sum += q.Bytes
	}
	switch {
	case i >= 0 && t.Parts[i].Message == a.ID: // this step again
	case i >= 0:
		return t, false, "the same fragment of this message has come before", nil
	case p.of > 0 && t.Of > 0 && p.of != t.Of || t.Of > 0 && p.n > t.Of || p.of > 0 && slices.ContainsFunc(t.Parts, func(q store.TransferPart) bool { return q.N > p.of }):
		return t, false, "the fragments of the message do not agree about how many there are", nil
	case sum+a.Size > maxRejoined:
		return t, false, "the fragments of the message are too large together", nil
	default:
		t.Of = max(t.Of, p.of)
		t.Parts = append(t.Parts, store.TransferPart{N: p.n, Message: a.ID, Bytes: a.Size, At: f.Clock()})
		if err := tx.SetTransfer(t); err != nil {
			return t, false, "", err
		}
		for _, r := range a.waiting {
			if err := tx.Remark(r, clauseFragmented, fragmentWords(p.n, t)); err != nil {
				return t, false, "", err
			}
		}
	}
	return t, t.Of > 0 && len(t.Parts) == t.Of, "", nil
}

func fragmentWords(n int, t store.Transfer) string {
	of := "an unknown number"
	if t.Of > 0 {
		of = strconv.Itoa(t.Of)
	}
	return fmt.Sprintf("fragment: %d of %s; %d have come", n, of, len(t.Parts))
}

// fragmentKey names the message that fragments are of.
func (a *arrival) fragmentKey(id string) string {
	var to []string
	for _, r := range a.waiting {
		to = append(to, r.Address.Key())
	}
	slices.Sort(to)
	return fmt.Sprintf("%s\n%q\n%s", a.Envelope.From, to, id)
}

// together makes one message of its fragments. It is taken before they are let go: a step that is stopped in between takes the same message
// again, which is known for a repeat.
func (f *Flow) together(ctx context.Context, j *queue.Job, t store.Transfer) error {
	slices.SortFunc(t.Parts, func(x, y store.TransferPart) int { return x.N - y.N })
	var ms []store.Message
	var bodies []*blob.Body
	defer func() {
		for _, b := range bodies {
			b.Close()
		}
	}()
	var env transit.Envelope
	for _, p := range t.Parts {
		var m store.Message
		err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
			if m, err = tx.Message(p.Message); err != nil || p.N > 1 {
				return err
			}
			env = m.Envelope
			rs, err := tx.Recipients(m.ID)
			for _, r := range rs {
				env.To = append(env.To, r.Address)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("flow: fragments: %w", err)
		}
		b, err := f.body(ctx, m.Raw)
		if err != nil {
			return err
		}
		ms, bodies = append(ms, m), append(bodies, b)
	}
	whole, err := joined(bodies)
	if errors.Is(err, errFragments) {
		return f.apart(ctx, j, t, "the fragments make no message together")
	}
	if err != nil {
		return fmt.Errorf("flow: fragments: %w", err)
	}
	id, err := f.Accept(ctx, env, &progressReader{r: whole, ctx: ctx, tell: func(int64) error { return j.Progress() }})
	if refused := (*Refusal)(nil); errors.As(err, &refused) {
		return f.apart(ctx, j, t, "the fragments make no message together")
	}
	if err != nil {
		return err
	}
	crash.Point("rejoin.accepted")
	return f.Store.Tx(ctx, func(tx *store.Tx) error {
		for i, m := range ms {
			rs, err := tx.Recipients(m.ID)
			if err != nil {
				return err
			}
			for _, r := range rs {
				if r.State != transit.Accepted {
					continue
				}
				if err := f.move(tx, r, transit.TakeNote, clauseFragmented, fmt.Sprintf("fragment: %d of %d of message %s", i+1, len(ms), id)); err != nil {
					return err
				}
			}
			if err := f.decided(tx, m.ID, ""); err != nil {
				return err
			}
		}
		err := audit.Write(tx, audit.Entry{Actor: actor, Action: "message.rejoin", Object: "message:" + id, Detail: map[string]string{"fragments": strconv.Itoa(len(ms))}})
		if err != nil {
			return err
		}
		if err := tx.RemoveTransfer(t.ID); err != nil {
			return err
		}
		return j.Finish(tx)
	})
}

// apart sets the fragments of a message aside that cannot become one.
func (f *Flow) apart(ctx context.Context, j *queue.Job, t store.Transfer, reason string) error {
	return f.Store.Tx(ctx, func(tx *store.Tx) error {
		for _, p := range t.Parts {
			rs, err := tx.Recipients(p.Message)
			if err != nil {
				return err
			}
			for _, r := range rs {
				if r.State != transit.Accepted {
					continue
				}
				if err := f.aside(tx, r, clauseFragmented, reason, map[string]string{"clause": clauseFragmented, "reason": reason}); err != nil {
					return err
				}
			}
			if err := f.decided(tx, p.Message, clauseFragmented); err != nil {
				return err
			}
		}
		if err := tx.RemoveTransfer(t.ID); err != nil {
			return err
		}
		return j.Finish(tx)
	})
}

// late sets the fragments aside of a message of which the rest has not come in time. Nobody is answered: who sent them nobody knows.
func (f *Flow) late(ctx context.Context, j *queue.Job) error {
	var t store.Transfer
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		t, err = tx.Transfer(j.Ref)
		return err
	})
	if errors.Is(err, store.ErrNotFound) { // it is together
		return nil
	}
	if err != nil {
		return fmt.Errorf("flow: fragments: %w", err)
	}
	if t.Of > 0 && len(t.Parts) == t.Of { // it is being put together
		return f.Store.Tx(ctx, func(tx *store.Tx) error { return j.Retry(tx, time.Hour, "all fragments are there") })
	}
	return f.apart(ctx, j, t, "the other fragments of the message have not come in time")
}

// errFragments says that the first fragment holds no beginning of a message.
var errFragments = errors.New("flow: no beginning of a message")

// joined is the message that its fragments make (RFC 2046 §5.2.2.1): the fields of the first fragment's own header, but for those that
// belong to what it encloses, which come from the header that it encloses; of later fragments the bodies alone.
func joined(bodies []*blob.Body) (io.Reader, error) {
	var out []io.Reader
	for i, b := range bodies {
		body, err := afterHeader(b)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, body)
			continue
		}
		outer, err := readHeader(b)
		if err != nil {
			return nil, errFragments
		}
		within := &counter{r: body}
		br := bufio.NewReaderSize(within, 4<<10)
		inner, err := message.ReadHeader(br, message.Limits{})
		if err != nil {
			return nil, unlessFragments(err)
		}
		if t, err := inner.ContentType(); err != nil || t.Is("message", "partial") { // fragments of fragments could go on for ever
			return nil, errFragments
		}
		var head bytes.Buffer
		write := func(h message.Header, enclosed bool) {
			for _, x := range h.Fields() {
				if ofEnclosed(x.Name) == enclosed {
					head.Write(bytes.TrimRight(x.Raw, "\r\n"))
					head.WriteString("\r\n")
				}
			}
		}
		write(outer, false)
		write(inner, true)
		head.WriteString("\r\n")
		out = append(out, &head, io.NewSectionReader(body, within.n-int64(br.Buffered()), body.Size()))
	}
	return io.MultiReader(out...), nil
}

func unlessFragments(err error) error {
	if errors.Is(err, message.ErrSyntax) || errors.Is(err, message.ErrLimit) || errors.Is(err, message.ErrAmbiguous) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errFragments
	}
	return err
}

// ofEnclosed says that a field belongs to the enclosed message (RFC 2046 §5.2.2.1 (1), (2)).
func ofEnclosed(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "content-") || slices.Contains([]string{"subject", "message-id", "encrypted", "mime-version"}, name)
}

// afterHeader is the body of a message.
func afterHeader(b *blob.Body) (*io.SectionReader, error) {
	within := &counter{r: io.NewSectionReader(b, 0, b.Size())}
	br := bufio.NewReaderSize(within, 4<<10)
	if _, err := message.ReadHeader(br, message.Limits{}); err != nil {
		return nil, unlessFragments(err)
	}
	at := within.n - int64(br.Buffered())
	return io.NewSectionReader(b, at, b.Size()-at), nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
