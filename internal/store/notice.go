package store

// NoticeOf finds the message that InsertNotice recorded. ErrNotFound.
func (tx *Tx) NoticeOf(recipient, kind string) (message string, err error) {
	return first(tx, func(scan scanner) (id string, err error) {
		err = scan(&id)
		return id, err
	},
		`SELECT message FROM notice WHERE recipient = $1 AND kind = $2`, recipient, kind)
}

// MailOf finds the mail that shows a message in a mailbox. ErrNotFound.
func (tx *Tx) MailOf(mailbox, message string) (Mail, error) {
	return first(tx, tx.readMail, `SELECT `+mailColumns+` FROM mail WHERE mailbox = $1 AND message = $2`, mailbox, message)
}
