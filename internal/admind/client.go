package admind

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
)

// Client asks an installation. It is safe for concurrent use. Its errors are *Error where the installation has answered, and
// others where it has not.
type Client struct {
	http *http.Client
}

// patience is how long the server may take to say that it wants a body (it looks at the envelope first), or to answer what takes no
// time: a gateway that hangs must not make every command hang with it.
const patience = 30 * time.Second

// ErrSilent says that a gateway has taken the call and does not answer.
var ErrSilent = errors.New("admind: the gateway does not answer")

// NewClient makes a client that connects by dial.
func NewClient(dial func(ctx context.Context) (net.Conn, error)) *Client {
	return &Client{&http.Client{Transport: &http.Transport{
		DialContext:           func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		ExpectContinueTimeout: patience, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10, DisableCompression: true,
	}}}
}

// Close lets the connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status of the installation.
func (c *Client) Status(ctx context.Context) (out Status, err error) {
	return out, c.ask(ctx, path("status"), &out)
}

// Identity is the card to give to partners.
func (c *Client) Identity(ctx context.Context) (out Card, err error) {
	return out, c.ask(ctx, path("identity"), &out)
}

// AddPartner trusts the anchor of a card and remembers where to deliver.
func (c *Client) AddPartner(ctx context.Context, card Card) error {
	return c.call(ctx, http.MethodPost, path("partners"), card, nil)
}

// Reload reads the configuration again, and tells what of it is not in use yet.
func (c *Client) Reload(ctx context.Context) (out Reloaded, err error) {
	return out, c.call(ctx, http.MethodPost, path("reload"), nil, &out)
}

// Send submits a message (RFC 5322), which is streamed. When it returns nil the message is durable; id names its timeline. A
// message of which body ends in an error is not taken.
func (c *Client) Send(ctx context.Context, from addr.Address, to []addr.Address, body io.Reader) (id string, err error) {
	return c.SendSet(ctx, from, to, Set{}, body)
}

// Set is what a sender says of a File-set; the audit log keeps it.
type Set struct {
	Overruled    []fileset.Conflict // ways in which its instances contradict each other, and it was made all the same
	Deidentified string             // "basic", or the options (deid.ParseOptions), where it was; more: allow-burned-in
	// Largest is how many bytes one mail may have as it leaves. Where it is larger than that, or than its recipients take, the set goes in
	// several: see Timeline.Transfer. 0: as they take it.
	Largest int64
}

// SendSet is Send of a File-set.
func (c *Client) SendSet(ctx context.Context, from addr.Address, to []addr.Address, set Set, body io.Reader) (id string, err error) {
	q := url.Values{"from": {from.String()}}
	if set.Largest > 0 {
		q.Set("largest", strconv.FormatInt(set.Largest, 10))
	}
	if set.Deidentified != "" {
		q.Set("deidentified", set.Deidentified)
	}
	for _, x := range set.Overruled {
		q.Add("overruled", string(x))
	}
	for _, a := range to {
		q.Add("to", a.String())
	}
	watched := &watchedReader{r: body}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, path("messages")+"?"+q.Encode(), watched)
	if err != nil {
		return "", fmt.Errorf("admind: %w", err)
	}
	req.Header.Set("Content-Type", "message/rfc822")
	req.Header.Set("Expect", "100-continue")
	var out struct {
		ID string `json:"id"`
	}
	err = c.do(req, &out)
	if failed := watched.failed(); failed != nil && err != nil {
		var answer *Error
		if !errors.As(err, &answer) {
			return "", failed // ours: not what the connection then said
		}
	}
	return out.ID, err
}

// Message reads a timeline.
func (c *Client) Message(ctx context.Context, id string) (out Timeline, err error) {
	return out, c.ask(ctx, path("messages", id), &out)
}

// ErrNoNews says that nothing has happened to a message since.
var ErrNoNews = errors.New("admind: nothing has happened since")

// News reads a timeline for somebody who has seen the events up to that Seq. ErrNoNews.
func (c *Client) News(ctx context.Context, id string, seen int64) (out Timeline, err error) {
	err = c.ask(ctx, path("messages", id)+"?"+url.Values{"seen": {strconv.FormatInt(seen, 10)}}.Encode(), &out)
	if err == nil && out.ID == "" {
		err = ErrNoNews
	}
	return out, err
}

// Named lists the messages with a Message-ID, oldest first: ids of timelines.
func (c *Client) Named(ctx context.Context, messageID string) (ids []string, err error) {
	return ids, c.ask(ctx, path("messages")+"?"+url.Values{"message_id": {messageID}}.Encode(), &ids)
}

// Accounts lists those of a domain, closed ones too; the zero Domain: of all.
func (c *Client) Accounts(ctx context.Context, d addr.Domain) (out []Account, err error) {
	u := path("accounts")
	if d != "" {
		u += "?" + url.Values{"domain": {d.String()}}.Encode()
	}
	return out, c.ask(ctx, u, &out)
}

// AddAccount makes an address ours, or opens a closed one again. Conflict where it is open.
func (c *Client) AddAccount(ctx context.Context, a addr.Address) error {
	return c.call(ctx, http.MethodPost, path("accounts"), map[string]string{"address": a.String()}, nil)
}

// CloseAccount takes no more mail for an address; what it has stays.
func (c *Client) CloseAccount(ctx context.Context, a addr.Address) error {
	return c.call(ctx, http.MethodPost, path("accounts", a.String(), "close"), nil, nil)
}

// SetPassword lets a mail program submit as an address. The empty password takes the right away.
func (c *Client) SetPassword(ctx context.Context, a addr.Address, password string) error {
	return c.call(ctx, http.MethodPost, path("accounts", a.String(), "password"), map[string]string{"password": password}, nil)
}

// SetDrops says where mail is copied to.
func (c *Client) SetDrops(ctx context.Context, a addr.Address, d Drops) error {
	return c.call(ctx, http.MethodPost, path("accounts", a.String(), "drops"), d, nil)
}

// Mails lists a folder ("" = INBOX), oldest first, after the one with UID after, at most limit (0 = 1000).
func (c *Client) Mails(ctx context.Context, a addr.Address, folder string, after uint32, limit int) (out []Mail, err error) {
	q := url.Values{"folder": {folder}, "after": {strconv.FormatUint(uint64(after), 10)}, "limit": {strconv.Itoa(limit)}}
	return out, c.ask(ctx, path("accounts", a.String(), "mails")+"?"+q.Encode(), &out)
}

// MailOutline tells the header and the parts of one message.
func (c *Client) MailOutline(ctx context.Context, a addr.Address, folder string, uid uint32) (out Outline, err error) {
	return out, c.call(ctx, http.MethodGet, mailPath(a, folder, uid, "outline"), nil, &out)
}

// OpenMail streams one message as it is (RFC 5322). The caller closes it.
func (c *Client) OpenMail(ctx context.Context, a addr.Address, folder string, uid uint32) (io.ReadCloser, int64, error) {
	return c.stream(ctx, mailPath(a, folder, uid))
}

// OpenPart streams part n of a message, decoded; its size is not known beforehand. The caller closes it.
func (c *Client) OpenPart(ctx context.Context, a addr.Address, folder string, uid uint32, n int) (io.ReadCloser, error) {
	r, _, err := c.stream(ctx, mailPath(a, folder, uid, "parts", strconv.Itoa(n)))
	return r, err
}

// CheckStudy judges the File-set of a message. NotFound where it carries none.
func (c *Client) CheckStudy(ctx context.Context, a addr.Address, folder string, uid uint32) (out StudyReport, err error) {
	return out, c.call(ctx, http.MethodGet, mailPath(a, folder, uid, "study", "report"), nil, &out)
}

// OpenStudy streams the DICOM.ZIP of a message, not judged. The caller closes it.
func (c *Client) OpenStudy(ctx context.Context, a addr.Address, folder string, uid uint32) (io.ReadCloser, int64, error) {
	return c.stream(ctx, mailPath(a, folder, uid, "study"))
}

// DeleteMail takes one message out of its folder, for ever.
func (c *Client) DeleteMail(ctx context.Context, a addr.Address, folder string, uid uint32) error {
	return c.call(ctx, http.MethodDelete, mailPath(a, folder, uid), nil, nil)
}

// Folders lists the folders of an address.
func (c *Client) Folders(ctx context.Context, a addr.Address) (out []string, err error) {
	return out, c.ask(ctx, path("accounts", a.String(), "folders"), &out)
}

// Queue lists work in a state ("" = any), soonest first, at most limit (0 = 1000).
func (c *Client) Queue(ctx context.Context, state string, limit int) (out []Work, err error) {
	q := url.Values{"state": {state}, "limit": {strconv.Itoa(limit)}}
	return out, c.ask(ctx, path("queue")+"?"+q.Encode(), &out)
}

// Work reads one row of the queue.
func (c *Client) Work(ctx context.Context, id string) (out Work, err error) {
	return out, c.ask(ctx, path("queue", id), &out)
}

// RetryWork makes work due now. Conflict while it runs.
func (c *Client) RetryWork(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, path("queue", id, "retry"), nil, nil)
}

// CancelWork gives work up: recipients who wait for it fail, and the sender is told.
func (c *Client) CancelWork(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, path("queue", id, "cancel"), nil, nil)
}

// HoldWork lets work rest until RetryWork. Conflict while it runs.
func (c *Client) HoldWork(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, path("queue", id, "hold"), nil, nil)
}

// Keys lists the keys of the installation.
func (c *Client) Keys(ctx context.Context) (out Keys, err error) {
	return out, c.ask(ctx, path("keys"), &out)
}

// RotateKey makes a new store key and seals everything under it. progress (nil: none) is told in values. What was cut short
// goes on when it is asked for again.
func (c *Client) RotateKey(ctx context.Context, progress func(done, total int64)) (out Rotation, err error) {
	return out, c.long(ctx, path("keys", "rotate"), nil, progress, &out)
}

// Rekey makes a new key-encryption key and wraps the store keys with it.
func (c *Client) Rekey(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, path("keys", "rekey"), nil, nil)
}

// Backup writes a backup into the new directory dir, an absolute path. progress (nil: none) is told in bytes.
func (c *Client) Backup(ctx context.Context, dir string, progress func(done, total int64)) (out Backup, err error) {
	return out, c.long(ctx, path("backup")+"?"+url.Values{"dir": {dir}}.Encode(), nil, progress, &out)
}

// path of a route.
func path(segments ...string) string {
	p := "http://carepost/v1"
	for _, s := range segments {
		p += "/" + url.PathEscape(s)
	}
	return p
}

func mailPath(a addr.Address, folder string, uid uint32, rest ...string) string {
	p := path(append([]string{"accounts", a.String(), "mails", strconv.FormatUint(uint64(uid), 10)}, rest...)...)
	if folder != "" {
		p += "?" + url.Values{"folder": {folder}}.Encode()
	}
	return p
}

// ask reads a value that is there at once.
func (c *Client) ask(ctx context.Context, url string, out any) error {
	within, cancel := context.WithTimeoutCause(ctx, patience, ErrSilent)
	defer cancel()
	err := c.call(within, http.MethodGet, url, nil, out)
	if err != nil && context.Cause(within) == ErrSilent {
		return ErrSilent
	}
	return err
}

// call sends a value and reads one.
func (c *Client) call(ctx context.Context, method, url string, in, out any) error {
	req, err := request(ctx, method, url, in)
	if err != nil {
		return err
	}
	return c.do(req, out)
}

// request is one with a value, or none.
func request(ctx context.Context, method, url string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("admind: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, fmt.Errorf("admind: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

func (c *Client) do(req *http.Request, out any) error {
	res, err := c.send(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("admind: the answer: %w", err)
	}
	return nil
}

// send gives the answer, or the *Error that it is.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // the address of the request may name a person
		}
		return nil, fmt.Errorf("admind: %w", err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	e := &Error{Code: NotNow, Reason: "the gateway answered " + res.Status}
	var said Error
	if json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&said) == nil && said.Code != "" {
		e = &said
	}
	e.Status = res.StatusCode
	return nil, e
}

// stream gives a body and its size, -1 where it is not told.
func (c *Client) stream(ctx context.Context, url string) (io.ReadCloser, int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("admind: %w", err)
	}
	res, err := c.send(req)
	if err != nil {
		return nil, 0, err
	}
	return res.Body, res.ContentLength, nil
}

// line is one value of a long answer.
type line struct {
	Progress *struct {
		Done  int64 `json:"done"`
		Total int64 `json:"total"`
	} `json:"progress,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// long asks for what takes a while.
func (c *Client) long(ctx context.Context, url string, in any, progress func(done, total int64), out any) error {
	req, err := request(ctx, http.MethodPost, url, in)
	if err != nil {
		return err
	}
	res, err := c.send(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for dec := json.NewDecoder(res.Body); ; {
		var l line
		switch err := dec.Decode(&l); {
		case err != nil:
			return fmt.Errorf("admind: the gateway stopped before it was done: %w", err)
		case l.Error != nil:
			return l.Error
		case l.Result != nil:
			return json.Unmarshal(l.Result, out)
		case l.Progress != nil && progress != nil:
			progress(l.Progress.Done, l.Progress.Total)
		}
	}
}
