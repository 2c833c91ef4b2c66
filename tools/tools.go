// Package tools pins the checkers that `make test` runs; it is a module of its own so that they never enter the product's go.mod.
package tools
