package xdm

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// What the METADATA.XML of a package may cost their reader; octets and elements are those of all of them.
const (
	maxMetadata   = 8 << 20 // octets
	maxElements   = 100_000
	maxDepth      = 48       // elements within one another
	maxAttributes = 64       // of one element
	maxText       = 64 << 10 // octets of one value that are kept
)

// element is an element of a document; namespaces are passed over, for the world writes them in many ways.
type element struct {
	name string
	attr []xml.Attr
	kids []*element
	text strings.Builder
}

func (e *element) get(name string) string {
	for _, a := range e.attr {
		if a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// all yields the children of that name.
func (e *element) all(name string) (out []*element) {
	for _, k := range e.kids {
		if k.name == name {
			out = append(out, k)
		}
	}
	return out
}

// find collects all elements of that name, at any depth. The tree is no deeper than maxDepth.
func (e *element) find(name string) (out []*element) {
	if e.name == name {
		return []*element{e}
	}
	for _, k := range e.kids {
		out = append(out, k.find(name)...)
	}
	return out
}

// budget is what the documents that are still to be read may cost.
type budget struct{ octets, elements int }

// parseXML reads a document, and takes what it cost from b. There are no entities but XML's own five, and a document type declaration is
// an error: nothing is expanded or fetched. Errors are of r, or say what is wrong with the document without repeating it.
func parseXML(r io.Reader, b *budget) (*element, error) {
	in := &counted{r: r, left: b.octets}
	defer func() { b.octets = in.left }()
	d := xml.NewDecoder(in)
	d.CharsetReader = charset
	root := &element{}
	open := []*element{root}
	for {
		t, err := d.RawToken()
		if err == io.EOF {
			break
		}
		if in.err != nil {
			return nil, in.err
		}
		if err != nil {
			return nil, malformed(err)
		}
		top := open[len(open)-1]
		switch t := t.(type) {
		case xml.StartElement:
			if b.elements--; b.elements < 0 || len(open) > maxDepth || len(t.Attr) > maxAttributes {
				return nil, errXMLLimit
			}
			e := &element{name: t.Name.Local, attr: t.Attr}
			top.kids = append(top.kids, e)
			open = append(open, e)
		case xml.EndElement:
			if len(open) == 1 || top.name != t.Name.Local {
				return nil, errXML
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if top.text.Len()+len(t) <= maxText {
				top.text.Write(t)
			}
		case xml.Directive:
			return nil, errDTD
		}
	}
	if len(open) > 1 || len(root.kids) != 1 {
		return nil, errXML
	}
	return root.kids[0], nil
}

// Errors of documents.
var (
	errXML      = errors.New("no well-formed XML")
	errDTD      = errors.New("a document type declaration, which could hide entities")
	errXMLLimit = errors.New("more elements, depth or attributes than the limits allow")
	errXMLSize  = fmt.Errorf("the metadata of the package are longer than %d MiB", maxMetadata>>20)
)

// malformed keeps what a parser says of the text from repeating the text.
func malformed(err error) error {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w, at line %d", errXML, syntax.Line)
	}
	return errXML
}

// counted ends a document that is too long, and keeps the error of its reader.
type counted struct {
	r    io.Reader
	left int
	err  error
}

func (c *counted) Read(p []byte) (int, error) {
	if c.left <= 0 {
		c.err = errXMLSize
		return 0, c.err
	}
	n, err := c.r.Read(p[:min(len(p), c.left)])
	c.left -= n
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// charset knows the encodings that metadata come in.
func charset(name string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "utf-8", "us-ascii", "ascii":
		return in, nil
	case "iso-8859-1", "latin1", "windows-1252":
		return charmap.Windows1252.NewDecoder().Reader(in), nil
	}
	return nil, errXML
}
