package message

import (
	"fmt"
	"strings"
	"testing"
)

// DIR-09, DIR-28: who a message is from and for.
func TestMailboxes(t *testing.T) {
	for list, want := range map[string]string{
		``:                                      ``,
		`a@h.example`:                           `a@h.example`,
		`<a@h.example>`:                         `a@h.example`,
		`Dr. Lee <a@h.example>`:                 `[Dr. Lee]a@h.example`,
		`"Lee, Dr." <a@h.example>, b@h.example`: `[Lee, Dr.]a@h.example b@h.example`,
		`"a@good.example" <a@evil.example>`:     `[a@good.example]a@evil.example`,
		`a@h.example (A comment, b@h.example), c@h.example`:  `a@h.example c@h.example`,
		`(x) a (y) @ (z) h.example (w)`:                      `a@h.example`,
		`Staff: a@h.example, B <b@h.example>; , c@h.example`: `a@h.example [B]b@h.example c@h.example`,
		`undisclosed-recipients:;`:                           ``,
		`,, a@h.example,,`:                                   `a@h.example`,
		`"jo hn"@h.example`:                                  `"jo hn"@h.example`,
		`X <"a\"b"@h.example>`:                               `[X]"a\"b"@h.example`,
		`=?utf-8?q?J=C3=B6rg?= <a@h.example>`:                `[Jörg]a@h.example`,
		`Jörg <a@praxis-müller.example>`:                     `[Jörg]a@xn--praxis-mller-klb.example`,
		`a@H.EXAMPLE`:                                        `a@h.example`,
		`a`:                                                  `!syntax`,
		`a b@h.example`:                                      `!syntax`,
		`a@h.example b@h.example`:                            `!syntax`,
		`a@h.example; b@h.example`:                           `!syntax`,
		`<a@h.example`:                                       `!syntax`,
		`a@h.example>`:                                       `!syntax`,
		`<a@h.example> x`:                                    `!syntax`,
		`<@r.example:a@h.example>`:                           `!syntax`,
		`<>`:                                                 `!syntax`,
		`X <a@h.example> <b@h.example>`:                      `!syntax`,
		`a@[127.0.0.1]`:                                      `!syntax`,
		`a@localhost`:                                        `!syntax`,
		`"a`:                                                 `!syntax`,
		`G: H: a@h.example;;`:                                `!syntax`,
		`G: a@h.example`:                                     `!syntax`,
		`:;`:                                                 `!syntax`,
		`a@h.example (open`:                                  `!syntax`,
		`(open`:                                              `!syntax`,
		`a@h.example, (open`:                                 `!syntax`,
		// An address within a comment too deep to read is none.
		strings.Repeat("(", 17) + ") <a@h.example>":                       `!syntax`,
		strings.Repeat("(", 17) + strings.Repeat(")", 17) + `a@h.example`: `!syntax`,
		strings.Repeat("a@h.example,", maxMailboxes+1):                    `!limit`,
	} {
		ms, err := ParseMailboxes(list)
		var got []string
		for _, m := range ms {
			s := m.Address.String()
			if m.Name != "" {
				s = "[" + m.Name + "]" + s
			}
			got = append(got, s)
		}
		g := strings.Join(got, " ")
		if err != nil {
			g = "!" + kind(err)
			if strings.Contains(fmt.Sprint(err), "h.example") {
				t.Errorf("the error repeats an address: %v", err)
			}
		}
		if g != want {
			t.Errorf("%.60s\n got  %s (%v)\n want %s", list, g, err, want)
		}
	}
}

func FuzzMailboxes(f *testing.F) {
	for _, s := range []string{`a@h.example`, `"Lee, Dr." <a@h.example>, G: b@h.example;`, `(c (d)) =?utf-8?q?x?= <"q\" q"@h.example>`, `,;:<>"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ms, err := ParseMailboxes(s)
		if err != nil || len(ms) == 0 {
			return
		}
		// What was read can be written, and is read the same.
		var b Builder
		b.AddMailboxes("To", ms...)
		if b.Err() != nil {
			t.Fatalf("%q: %v", s, b.Err())
		}
		var out strings.Builder
		b.WriteTo(&out)
		again, err := header(t, out.String()).Mailboxes("To")
		if err != nil || len(again) != len(ms) {
			t.Fatalf("%q → %q → %v", s, out.String(), err)
		}
		for i := range ms {
			if ms[i].Address != again[i].Address {
				t.Fatalf("%q → %q: another address", s, out.String())
			}
			if strings.Join(strings.Fields(ms[i].Name), " ") != strings.Join(strings.Fields(again[i].Name), " ") {
				t.Fatalf("%q → %q: %q became %q", s, out.String(), ms[i].Name, again[i].Name)
			}
		}
	})
}
