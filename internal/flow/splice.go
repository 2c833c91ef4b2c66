package flow

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"carepost/internal/blob"
	"carepost/message"
)

// splice puts something in the place of the octets [from, to) of a message.
type splice struct {
	from, to int64
	with     string
	write    func(io.Writer) error // after with; nil: nothing
}

// spliced copies a message to a new draft, changed. Splices do not overlap; what is put in goes before what stood there. The caller discards it.
func (f *Flow) spliced(body *blob.Body, changes []splice) (*blob.Draft, error) {
	slices.SortStableFunc(changes, func(a, b splice) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	d, err := f.Blobs.Create()
	if err != nil {
		return nil, fmt.Errorf("flow: accept: %w", err)
	}
	at := int64(0)
	copyTo := func(end int64) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{d}, io.NewSectionReader(body, at, end-at), make([]byte, 256<<10))
		return err
	}
	for _, c := range changes {
		if err = copyTo(c.from); err != nil {
			break
		}
		if _, err = io.WriteString(d, c.with); err != nil {
			break
		}
		if c.write != nil {
			if err = c.write(d); err != nil {
				break
			}
		}
		at = c.to
	}
	if err == nil {
		err = copyTo(body.Size())
	}
	if err != nil {
		d.Discard()
		return nil, fmt.Errorf("flow: accept: %w", err)
	}
	return d, nil
}

// eolOf is how the lines of a header end.
func eolOf(h message.Header) string {
	for _, field := range h.Fields() {
		if raw := string(field.Raw); strings.HasSuffix(raw, "\n") && !strings.HasSuffix(raw, "\r\n") {
			return "\n"
		}
	}
	return "\r\n"
}

// rewritten is a header, with its blank line, in which fields are changed: nil takes one out, others stand in its place, or at the end where there is
// none. Line ends are those of h.
func rewritten(h message.Header, change map[string]*message.Builder) (string, error) {
	eol := eolOf(h)
	lines := map[string]string{}
	var added []string
	for name, b := range change {
		text := ""
		if b != nil {
			var out strings.Builder
			if _, err := b.WriteTo(&out); err != nil {
				return "", err
			}
			text = strings.ReplaceAll(strings.TrimSuffix(out.String(), "\r\n"), "\r\n", eol)
		}
		lines[strings.ToLower(name)] = text
		if b != nil && !h.Has(name) {
			added = append(added, text)
		}
	}
	slices.Sort(added)
	var out strings.Builder
	for _, field := range h.Fields() {
		name := strings.ToLower(field.Name)
		text, changed := lines[name]
		if !changed {
			out.Write(field.Raw)
			continue
		}
		out.WriteString(text)
		lines[name] = "" // once
	}
	return out.String() + strings.Join(added, "") + eol, nil
}

// oneField is a header of one field.
func oneField(name, value string) *message.Builder { return new(message.Builder).Add(name, value) }
