package auditor

import (
	"strings"

	"carepost/atna"
)

// kind is what an act is to an audit repository.
type kind struct {
	event atna.Code // zero: nothing
	of    atna.Code
}

// kindOf sorts the acts of our audit log. What only shows or lists something is not for the repository, nor is what concerns the queue:
// both stand in the log itself.
func kindOf(action string) kind {
	alert := func(of atna.Code) kind { return kind{atna.SecurityAlert, of} }
	switch action {
	case "recipient.hand-over":
		return kind{event: atna.Export}
	case "recipient.open":
		return kind{event: atna.Import}
	case "intake.close", "study.hand-over", "study.hand-over-fail":
		return kind{event: atna.Transferred}
	case "account.sign-in", "account.sign-in-refuse":
		return kind{atna.UserAuthentication, atna.Login}
	case "gateway.start":
		return kind{atna.ApplicationActivity, atna.ApplicationStart}
	case "gateway.stop":
		return kind{atna.ApplicationActivity, atna.ApplicationStop}
	case "audit.read", "audit.export", "audit.verify":
		return kind{event: atna.AuditLogUsed}
	case "recipient.set-aside":
		return alert(atna.NodeAuthentication)
	case "body.damaged":
		return alert(atna.ObjectSecurity)
	case "key.export", "certificate.export", "backup.create", "backup.restore", "audit.erase":
		return alert(atna.RestrictedFunction)
	case "certificate.ends", "certificate.tell", "review.due":
		return kind{}
	}
	room, verb, _ := strings.Cut(action, ".")
	if verb == "list" || verb == "show" || verb == "explain" {
		return kind{}
	}
	switch room {
	case "account":
		return alert(atna.UserSecurity)
	case "anchor", "pin", "intermediate", "bundle", "certificate", "authority", "key", "domain", "config", "partner":
		return alert(atna.SecurityConfiguration)
	}
	return kind{}
}
