package main

import (
	"errors"
	"fmt"
)

// Exit codes, the same for every command (docs/architecture.md).
const (
	exitDone       = 0
	exitNotNow     = 1 // could not be done now: network, disk
	exitUsage      = 2 // wrong usage
	exitRefused    = 3 // refused by a rule: untrusted, invalid, profile broken
	exitIncomplete = 4 // incomplete or damaged data
)

// exitError carries an exit code along with what is printed on stderr.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func notNow(err error) error  { return &exitError{exitNotNow, err} }
func usage(err error) error   { return &exitError{exitUsage, err} }
func refused(err error) error { return &exitError{exitRefused, err} }

// refusedBy names the clause that refuses.
func refusedBy(clause, format string, a ...any) error {
	return refused(errors.New(clause + ": " + fmt.Sprintf(format, a...)))
}

func incomplete(err error) error { return &exitError{exitIncomplete, err} }

// exitCode reads the code of err; what carries none could not be done now.
func exitCode(err error) int {
	var e *exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &e):
		return e.code
	}
	return exitNotNow
}
