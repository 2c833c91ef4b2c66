package ett

import (
	"carepost/addr"
	"carepost/internal/rule"
	"carepost/trust"
)

// rules judge two domains of the tool by other profiles than the rest.
func rules() (out rule.Rules) {
	for d, p := range map[addr.Domain]trust.Policy{newer: trust.V13, older: trust.Lenient} {
		out = append(out, rule.Rule{With: rule.Who{Domains: map[addr.Domain]bool{d: true}}, Profile: &p})
	}
	return out
}

// profiles are the cases in which the edition of the Applicability Statement makes the difference (SVAP 2022: v1.3), and sub-addresses.
func (x *tool) profiles() (all []*receiving) {
	comes := func(want, name, from string, f form) *receiving {
		f.signers = []identity{x.org}
		r := &receiving{name: name, from: from, form: f, want: want}
		all = append(all, r)
		return r
	}
	comes(processed, "v1.3_wrapped", "wrapped@"+newer, form{})
	comes(silence, "v1.3_not_wrapped", "unwrapped@"+newer, form{unwrapped: true})
	comes(silence, "v1.3_sha1", "sha1@"+newer, form{md: "sha1"})
	comes(silence, "v1.3_MAIL_FROM_is_not_From", "from@"+newer, form{}).mail = "another@" + newer
	comes(silence, "v1.3_RCPT_TO_is_not_named", "bcc@"+newer, form{}).named = "lab@north.example"
	comes(processed, "v1.2_MAIL_FROM_is_not_From", "from@"+good, form{}).mail = "another@" + good
	comes(processed, "v1.2_RCPT_TO_is_not_named", "bcc@"+good, form{}).named = "lab@north.example"
	comes(processed, "lenient_sha1", "sha1@"+older, form{md: "sha1"})
	comes(processed, "sub_address", "tag@"+good, form{}).to = "desk+results@north.example"
	return all
}
