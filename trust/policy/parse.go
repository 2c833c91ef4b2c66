package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// sort of a value.
type sort uint8

const (
	truth sort = iota
	number
	text
	list
	plainText // a literal: it becomes what the operator wants
)

func (s sort) String() string {
	return [...]string{"a truth value", "a number", "a text", "a list", "a literal"}[s]
}

// node is an operation, a field or a literal.
type node struct {
	op          string // "": a field or literal
	left, right *node  // left is nil before an operator of one operand
	field       *fieldOf
	required    bool
	literal     value
	pattern     *regexp.Regexp // the right side of $ and {}$
	sort        sort
	from, to    int // in the text
}

type parser struct {
	text  string
	at    int
	ahead *token
	depth int
	terms int
}

func (p *parser) peek() (token, *fault) {
	if p.ahead == nil {
		t, bad := p.next()
		if bad != nil {
			return t, bad
		}
		p.ahead = &t
	}
	return *p.ahead, nil
}

func (p *parser) take() (token, *fault) {
	t, bad := p.peek()
	p.ahead = nil
	if p.terms++; bad == nil && p.terms > 2*maxTerms {
		bad = &fault{t.from, fmt.Sprintf("it has more than %d fields, literals and operators", maxTerms)}
	}
	return t, bad
}

func (p *parser) parse() (*node, error) {
	n, bad := p.expression()
	if bad != nil {
		return nil, bad
	}
	t, bad := p.take()
	switch {
	case bad != nil:
		return nil, bad
	case t.kind == closing:
		return nil, &fault{t.from, "there is nothing that this bracket closes"}
	case n.op == "":
		return nil, &fault{n.from, "an expression needs an operator"}
	case n.sort != truth:
		return nil, &fault{n.from, fmt.Sprintf("the whole is %s; it must come to true or false", n.sort)}
	}
	return n, nil
}

// expression reads operands joined by operators of two operands, up to the end or a closing bracket: ((a op b) op c).
func (p *parser) expression() (*node, *fault) {
	n, bad := p.operand()
	for bad == nil {
		var t token
		if t, bad = p.peek(); bad != nil {
			break
		}
		if t.kind == end || t.kind == closing {
			return n, nil
		}
		if t.kind != operator {
			return nil, &fault{t.from, "an operator is missing before this"}
		}
		if unary(t.text) {
			return nil, &fault{t.from, fmt.Sprintf("%s stands before its operand, and takes one", t.text)}
		}
		if _, bad = p.take(); bad != nil {
			break
		}
		var right *node
		if right, bad = p.operand(); bad == nil {
			n, bad = join(t, n, right)
		}
	}
	return nil, bad
}

func unary(op string) bool {
	switch op {
	case "!", "{}", "{}!", "^", "@@":
		return true
	}
	return false
}

// operand reads a field, a literal, a group, or an operator with its one operand.
func (p *parser) operand() (*node, *fault) {
	t, bad := p.take()
	if bad != nil {
		return nil, bad
	}
	if p.depth++; p.depth > maxDepth {
		return nil, &fault{t.from, fmt.Sprintf("it goes more than %d levels deep", maxDepth)}
	}
	defer func() { p.depth-- }()
	switch {
	case t.kind == field:
		return fieldNode(t)
	case t.kind == literal:
		return &node{literal: value{text: t.text}, sort: plainText, from: t.from, to: t.to}, nil
	case t.kind == opening:
		n, bad := p.expression()
		if bad != nil {
			return nil, bad
		}
		closed, bad := p.take()
		if bad == nil && closed.kind != closing {
			bad = &fault{t.from, "this bracket is not closed"}
		}
		n.from, n.to = t.from, closed.to
		return n, bad
	case t.kind == operator && unary(t.text):
		n, bad := p.operand()
		if bad != nil {
			return nil, bad
		}
		return join(t, nil, n)
	case t.kind == operator:
		return nil, &fault{t.from, fmt.Sprintf("before %s something is missing", t.text)}
	case t.kind == closing:
		return nil, &fault{t.from, "a field, a literal or a bracket is missing before this one"}
	}
	return nil, &fault{t.from, "it ends where a field, a literal or a bracket is missing"}
}

func fieldNode(t token) (*node, *fault) {
	name, required := strings.CutSuffix(t.text, "+")
	f := fieldNamed(name)
	if f == nil {
		return nil, &fault{t.from, fmt.Sprintf("there is no field %.80q here", name)}
	}
	return &node{field: f, required: required, sort: f.sort, from: t.from, to: t.to}, nil
}

// join makes an operation, with the kinds that it wants.
func join(op token, left, right *node) (*node, *fault) {
	n := &node{op: op.text, left: left, right: right, from: op.from, to: right.to}
	if left != nil {
		n.from = left.from
	}
	wrong := func(side *node, wants string) (*node, *fault) {
		return nil, &fault{side.from, fmt.Sprintf("%s wants %s here, and this is %s", op.text, wants, side.sort)}
	}
	switch op.text {
	case "&&", "||", "!":
		for _, side := range []*node{left, right} {
			if side != nil && !side.become(truth) {
				return wrong(side, "true or false")
			}
		}
	case ">", "<", "&", "|":
		if n.sort = truth; op.text == "&" || op.text == "|" {
			n.sort = number
		}
		for _, side := range []*node{left, right} {
			if !side.become(number) {
				return wrong(side, "a whole number")
			}
		}
	case "=", "!=":
		return equality(n)
	case "$", "{}$":
		if op.text == "{}$" && !left.become(list) {
			return wrong(left, "a list")
		}
		if left.sort != list && !left.become(text) {
			return wrong(left, "a text or a list")
		}
		if right.sort != plainText {
			return wrong(right, "a literal")
		}
		var err error
		if n.pattern, err = regexp.Compile(right.literal.text); err != nil {
			return nil, &fault{right.from, "this is no regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")}
		}
	case "{?}", "{?}!":
		if !left.become(list) {
			return wrong(left, "a list")
		}
		if !right.become(text) {
			return wrong(right, "a text")
		}
	case "{}&":
		n.sort = list
		for _, side := range []*node{left, right} {
			if !side.become(list) {
				return wrong(side, "a list")
			}
		}
	case "{}", "{}!", "^":
		if op.text == "^" {
			n.sort = number
		}
		if !right.become(list) {
			return wrong(right, "a list")
		}
	case "@@":
		if right.sort != list && !right.become(text) {
			return wrong(right, "a text or a list")
		}
	}
	return n, nil
}

// equality compares what is of one kind, and a text with the values of a list.
func equality(n *node) (*node, *fault) {
	a, b := n.left, n.right
	if a.sort == plainText {
		a, b = b, a
	}
	want := a.sort
	if want == list || want == plainText {
		want = text
		if a.sort == plainText {
			a.become(text)
		}
	}
	if !b.become(want) {
		return nil, &fault{b.from, fmt.Sprintf("%s is to be compared with %s, and this is %s", n.op, want, b.sort)}
	}
	return n, nil
}

// become says whether n is of that kind, or a literal that can be read so.
func (n *node) become(want sort) bool {
	if n.sort != plainText {
		return n.sort == want
	}
	written := strings.TrimSpace(n.literal.text)
	switch want {
	case truth:
		if written != "true" && written != "false" {
			return false
		}
		n.literal.truth = written == "true"
	case number:
		i, err := strconv.ParseInt(written, 10, 64)
		if err != nil {
			return false
		}
		n.literal.number = i
	case list:
		for s := range strings.SplitSeq(n.literal.text, ",") {
			if s = strings.TrimSpace(s); s != "" {
				n.literal.list = append(n.literal.list, s)
			}
		}
	}
	n.sort = want
	return true
}
