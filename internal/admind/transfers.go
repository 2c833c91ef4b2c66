package admind

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"carepost/addr"
	"carepost/dicom/zipmail"
	"carepost/internal/blob"
	"carepost/internal/flow"
	"carepost/internal/transit"
)

// Room is how large one message may be, in bytes; 0: nobody says.
type Room struct {
	Message int64 `json:"message,omitempty"` // as its sender writes it
	Sealed  int64 `json:"sealed,omitempty"`  // as it leaves
}

// NewTransfer is a large set to be sent in several mails.
type NewTransfer struct {
	From    addr.Address     `json:"from"`
	To      []addr.Address   `json:"to"`
	Subject string           `json:"subject,omitempty"`
	Parts   []zipmail.Listed `json:"parts"`
}

// Transfer is a large set that goes, or comes, in several mails.
type Transfer struct {
	ID        string         `json:"id"`
	Direction string         `json:"direction"` // "outbound", "inbound"
	Name      string         `json:"name"`      // that its sender gave it
	From      string         `json:"from,omitempty"`
	To        []addr.Address `json:"to,omitempty"`
	Subject   string         `json:"subject,omitempty"`
	Begun     time.Time      `json:"begun"`
	Of        int            `json:"of"` // parts
	Missing   []int          `json:"missing,omitempty"`
	Whole     bool           `json:"whole"`           // all parts are there, each complete
	Proven    bool           `json:"proven"`          // and they are the ones that the sender listed
	Odd       string         `json:"odd,omitempty"`   // why it can never be whole
	Words     string         `json:"words,omitempty"` // inbound: how far it has come
	Sets      string         `json:"sets,omitempty"`  // digest over the File-set UIDs of all parts
	Part      int            `json:"part,omitempty"`  // of the mail that was asked about
	Parts     []TransferPart `json:"parts,omitempty"`
}

// TransferPart is one mail of it.
type TransferPart struct {
	N         int       `json:"n"`
	Message   string    `json:"message,omitempty"` // id of its timeline, where it is there
	MessageID string    `json:"message_id,omitempty"`
	UID       string    `json:"file_set_uid,omitempty"`
	Instances int       `json:"instances"`
	Bytes     int64     `json:"bytes"`             // of its instances
	Verdict   string    `json:"verdict,omitempty"` // inbound
	Results   []string  `json:"results,omitempty"` // outbound: one for each recipient, as in timelines
	At        time.Time `json:"at,omitzero"`
}

func (s *Server) room(w http.ResponseWriter, r *http.Request) {
	from, to, err := parties(r.URL.Query())
	if err != nil {
		s.fail(w, err)
		return
	}
	room, err := s.o.Flow.Room(r.Context(), from, to)
	s.answer(w, Room{Message: room.Message, Sealed: room.Sealed}, err)
}

// parties are the sender and the recipients that a request names.
func parties(q url.Values) (from addr.Address, to []addr.Address, err error) {
	if from, err = addr.Parse(q.Get("from")); err != nil {
		return from, nil, wrong("from: not an address")
	}
	if len(q["to"]) > mostRecipients {
		return from, nil, wrong("too many recipients for one message")
	}
	for _, text := range q["to"] {
		a, err := addr.Parse(text)
		if err != nil {
			return from, nil, wrong("to: not an address")
		}
		to = append(to, a)
	}
	return from, to, nil
}

func (s *Server) beginTransfer(w http.ResponseWriter, r *http.Request) {
	var in NewTransfer
	if err := read(r, &in); err != nil {
		s.fail(w, err)
		return
	}
	if len(in.To) > mostRecipients {
		s.fail(w, wrong("too many recipients for one message"))
		return
	}
	t, err := s.o.Flow.BeginTransfer(r.Context(), actor(r), flow.NewTransfer{From: in.From, To: in.To, Subject: in.Subject, Parts: in.Parts})
	s.answer(w, toldTransfer(t, nil), err)
}

func (s *Server) transfers(w http.ResponseWriter, r *http.Request) {
	of, err := addr.Parse(r.URL.Query().Get("account"))
	if err != nil {
		s.fail(w, wrong("account: not an address"))
		return
	}
	ways := map[string]transit.Direction{"outbound": transit.Outbound, "inbound": transit.Inbound}
	way := ways[r.URL.Query().Get("direction")]
	if way == 0 {
		s.fail(w, wrong("direction: inbound or outbound"))
		return
	}
	all, err := s.o.Flow.Transfers(r.Context(), actor(r), of, way)
	out := []Transfer{}
	for _, t := range all {
		one := toldTransfer(t, nil)
		one.Parts = nil
		out = append(out, one)
	}
	s.answer(w, out, err)
}

func (s *Server) transfer(w http.ResponseWriter, r *http.Request) {
	t, parts, err := s.o.Flow.Transfer(r.Context(), actor(r), r.PathValue("id"))
	s.answer(w, toldTransfer(t, parts), err)
}

// mailTransfer tells which part of a large set a mail is; the zero Transfer where it is none.
func (s *Server) mailTransfer(w http.ResponseWriter, r *http.Request) {
	p, err := where(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.with(w, r, func(m Mail, _ *blob.Body) error {
		if m.Message == "" {
			s.answer(w, Transfer{}, nil)
			return nil
		}
		t, n, err := s.o.Flow.TransferOf(r.Context(), actor(r), p.of, m.Message)
		if err != nil {
			return err
		}
		out := Transfer{}
		if n > 0 {
			out = toldTransfer(t, nil)
			out.Part, out.Words = n, t.Words(n)
		}
		s.answer(w, out, nil)
		return nil
	})
}

// toldTransfer is a transfer in our words.
func toldTransfer(t flow.Transfer, results []flow.PartResult) Transfer {
	out := Transfer{ID: t.ID, Direction: "inbound", Name: t.Name, To: t.To, Subject: t.Subject, Begun: t.At, Of: t.Of, Missing: t.Outstanding(), Sets: t.Sets}
	out.Whole, out.Proven, out.Odd = t.Whole()
	if t.Ours() {
		out.Direction = "outbound"
	} else {
		out.From, out.Words = t.Sender.String(), t.Words(0)
	}
	for i, p := range t.Parts {
		x := TransferPart{N: p.N, Message: p.Message, MessageID: p.MessageID, UID: p.UID, Instances: p.Instances, Bytes: p.Bytes, Verdict: p.Verdict, At: p.At}
		if i < len(results) {
			for _, r := range results[i].Results {
				x.Results = append(x.Results, string(r))
			}
		}
		out.Parts = append(out.Parts, x)
	}
	return out
}

// Room tells how large one message to all of these recipients may be.
func (c *Client) Room(ctx context.Context, from addr.Address, to []addr.Address) (out Room, err error) {
	q := url.Values{"from": {from.String()}}
	for _, a := range to {
		q.Add("to", a.String())
	}
	return out, c.ask(ctx, path("room")+"?"+q.Encode(), &out)
}

// BeginTransfer registers a large set, or finds the one that was interrupted; parts with a Message have been submitted.
func (c *Client) BeginTransfer(ctx context.Context, n NewTransfer) (out Transfer, err error) {
	return out, c.call(ctx, http.MethodPost, path("transfers"), n, &out)
}

// Transfers lists what an account sent, or got, in several mails, newest first, without their parts.
func (c *Client) Transfers(ctx context.Context, of addr.Address, outbound bool) (out []Transfer, err error) {
	q := url.Values{"account": {of.String()}, "direction": {"inbound"}}
	if outbound {
		q.Set("direction", "outbound")
	}
	return out, c.ask(ctx, path("transfers")+"?"+q.Encode(), &out)
}

// Transfer reads one.
func (c *Client) Transfer(ctx context.Context, id string) (out Transfer, err error) {
	return out, c.ask(ctx, path("transfers", id), &out)
}

// MailTransfer tells which part of a large set a mail is; Part is 0 where it is none.
func (c *Client) MailTransfer(ctx context.Context, of addr.Address, folder string, uid uint32) (out Transfer, err error) {
	return out, c.ask(ctx, mailPath(of, folder, uid, "transfer"), &out)
}
