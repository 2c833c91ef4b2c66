// Package crash holds the places where a process may die in a trial: one for each arrow between what is durable and what is said or
// done next. A build without the tag crashpoints has none of it: Point is empty there, and inlined away.
//
// With the tag, the environment variable CAREPOST_CRASH names a point, "accept.rows-durable" or "store.commit:3"; the process kills
// itself (SIGKILL: nothing deferred runs, nothing is flushed) when it passes that point for the first or the given time.
package crash

// Arrow is one point, and what it stands between.
type Arrow struct {
	Name    string
	Between string
}

// All are the points that stand in the sources, each once.
func All() []Arrow {
	return []Arrow{
		// A body on the disk.
		{"blob.synced", "the bytes of a body are on the disk; they have no name yet"},
		{"blob.named", "the body has its name; the draft's name is still there"},
		// Every transaction of the embedded engine.
		{"store.commit", "all statements of a batch are done; nothing is committed"},
		{"store.committed", "the batch is durable; nobody has been told"},
		// The queue.
		{"work.claimed", "work is leased; it has not begun"},
		{"work.done", "a step has returned; its work is settled or about to be"},
		// T1, a message is accepted.
		{"accept.body-durable", "the body is durable; there are no rows"},
		{"accept.rows-durable", "the rows are durable; 250 has not been said"},
		{"accept.answered", "250 is on the wire"},
		// T2, outbound.
		{"seal.body-durable", "a sealed message is durable; there are no rows about it"},
		{"seal.rows-durable", "it can be delivered; the step is not settled"},
		{"outbound.decided", "everything is sealed; the step is not settled"},
		{"outbound.settled", "the step is settled"},
		// T2, inbound.
		{"open.drafted", "the plaintext lies in a hidden draft; nobody has judged its signer"},
		{"open.body-durable", "the opened message is durable; nothing shows it"},
		{"open.rows-durable", "the recipient has it; the processed notice is owed"},
		// T3, a message is handed over.
		{"deliver.before-dot", "the lease was looked at for the last time; the final dot is not sent"},
		{"deliver.local", "our own side has taken it; the delivery does not know"},
		{"deliver.answered", "the server has answered; its answer is not written down"},
		{"deliver.noted", "the answer is written down; the step is not settled"},
		{"deliver.settled", "the step is settled"},
		// T4, reports.
		{"notice.composed", "a processed notice is composed; there are no rows about it"},
		{"notice.rows-durable", "the notice is a message of ours; the duty is discharged"},
		{"failure.composed", "a failed notice to the other side is composed; there are no rows about it"},
		{"failure.rows-durable", "the failed notice is a message of ours"},
		{"delivery.composed", "a notice of the final delivery is composed; there are no rows about it"},
		{"delivery.rows-durable", "that notice is a message of ours"},
		{"report.verified", "a report of the other side is verified and read; nothing has moved"},
		{"report.noted", "what the report says is written down"},
		{"success.composed", "good news for the sender is composed; nobody has been told"},
		{"success.settled", "it is in the sender's mailbox"},
		// What is laid into folders.
		{"drop.written", "the file is durable under tmp of the Maildir; it has no name"},
		{"drop.unpacked", "the study is whole in a hidden folder"},
		{"drop.laid", "the mail or the study lies where its reader finds it; nothing says so"},
		{"drop.settled", "the step is settled"},
		// What goes and comes in several mails.
		{"transfer.staged", "all parts of a large set are durable; there are no rows about any"},
		{"fragment.taken", "the server has a fragment; nothing says so"},
		{"fragment.noted", "that is written down; the other fragments are not sent"},
		{"rejoin.kept", "all fragments of a message are there; it is not put together"},
		{"rejoin.accepted", "the message is ours; its fragments wait as if it were not"},
		// What is fetched from a provider.
		{"collect.durable", "a mail is ours; the provider has it still"},
		{"collect.removed", "the provider has it no more; nothing says so"},
		// What devices hand in.
		{"intake.body-durable", "an object is durable; there are no rows"},
		{"intake.rows-durable", "its rows are durable; the device has not been told"},
		{"intake.closed", "a study is closed to further objects; nothing is sent"},
		{"intake.sent", "its mail is ours and the spool is dead; the step has not returned"},
		// What is given to a PACS.
		{"handover.given", "the other side has an instance; nothing says so"},
		{"handover.done", "it has all of them; the step is not settled"},
		// T5, times that pass.
		{"delay.passed", "the notice of delay is composed; nobody has been told"},
		{"delay.settled", "the notice of delay is in the sender's mailbox"},
		{"deadline.passed", "the sender's report is composed; the recipient has not failed yet"},
		{"deadline.settled", "the recipient has failed, and the report is in the sender's mailbox"},
	}
}
