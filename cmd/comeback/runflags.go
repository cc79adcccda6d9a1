package main

import "github.com/spf13/pflag"

// runFlags are the flags of every command that starts a run and follows it.
func runFlags(f *pflag.FlagSet, key *string, plain, asJSON *bool) {
	f.StringVar(key, "key", "", "sign the report with this SSH private key `FILE`, or \"agent\"")
	f.BoolVar(plain, "plain", false, "lines instead of the console: on a terminal with questions, elsewhere one line per transition")
	f.BoolVar(asJSON, "json", false, "print the events as they stand in the journal")
}

// asksNothing says of --plain what it is where the name of the target is all that there
// is to ask, and where that name comes from.
func asksNothing(f *pflag.FlagSet) {
	f.Lookup("plain").Usage = "one line per transition instead of the console; nothing is asked, so add --confirm NAME"
	f.Lookup("confirm").Usage += "; it is what --dry-run prints as \"confirm\""
}

// confirmFlag is that of a command which changes something live; what names it.
func confirmFlag(f *pflag.FlagSet, name *string, what string) {
	f.StringVar(name, "confirm", "", "the `NAME` of "+what+", instead of typing it when it is asked for")
}
