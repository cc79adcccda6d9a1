package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/remote"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// lineFor is the command line as a host carries it out: the same words, the files that
// it names as bytes, and the variables that the runbook names. What is for this end is
// taken off.
func (a *app) lineFor(cmd *cobra.Command, o *carrying) (remote.Start, error) {
	_, rest, err := cmd.Root().Find(a.args)
	if err != nil {
		return remote.Start{}, err
	}
	s := remote.Start{Args: strings.Fields(cmd.CommandPath())[1:]}
	err = cmd.Flags().ParseAll(rest, func(f *pflag.Flag, value string) error {
		switch f.Name {
		case "on", "give":
		case "key":
			o.key = value
		case "signers":
			b, err := os.ReadFile(value)
			if err != nil {
				return usage("name your own list of signers; each line is a name and a public key", "read the list of signers: %w", err)
			}
			goesAlong(&s, "--signers=", value, b)
		case "scenario":
			b, err := os.ReadFile(value)
			if err != nil {
				return usage("give the path of a Markdown file whose ## sections are the cards", "read the scenario: %w", err)
			}
			goesAlong(&s, "--scenario=", value, b)
		default:
			o.silent = o.silent || f.Name == "json" || f.Name == "dry-run"
			s.Args = append(s.Args, "--"+f.Name+"="+value)
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	args, names := cmd.Flags().Args(), o.give
	o.from, o.mode = a.from(), recovery.Recovery
	if cmd.Name() == "rehearse" {
		o.mode = recovery.Rehearsal
	}
	s.Args = append(s.Args, "--")
	if strings.HasPrefix(cmd.Use, cmd.Name()+" RUNBOOK") {
		b, _, err := a.open(cmd.Context(), args[0])
		if err != nil {
			return s, err
		}
		if b.found {
			return s, notNamed(b.path, "on another host it would be a file like one that somebody has named")
		}
		names = append(names, slices.DeleteFunc(b.Variables(), hostsOwn)...)
		goesAlong(&s, "", b.path, b.bytes)
		o.runbook, args = b.source.SHA256, args[1:]
	} else if len(args) > 0 {
		o.run = args[0]
	}
	s.Args = append(s.Args, args...)
	s.Env, err = a.given(names, o.give)
	return s, err
}

// goesAlong adds an argument that ends with the path of a file on the host.
func goesAlong(s *remote.Start, before, path string, b []byte) {
	s.Files = append(s.Files, remote.File{Arg: len(s.Args), Name: filepath.Base(path), Bytes: b})
	s.Args = append(s.Args, before)
}

// given are the variables of this environment that go along; those that were asked for
// must be set. What is not set here may be set there.
func (a *app) given(names, must []string) ([]string, error) {
	var env []string
	for _, name := range names {
		v, ok := a.lookup(name)
		switch {
		case ok:
			env = append(env, name+"="+v)
		case slices.Contains(must, name):
			return nil, usage("export "+name+" and try again", "--give %s: it is not set", name)
		}
	}
	slices.Sort(env)
	return slices.Compact(env), nil
}

// hostsOwn are the variables that a host has of its own, whatever a script mentions.
func hostsOwn(name string) bool {
	switch name {
	case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "TERM", "HOSTNAME":
		return true
	}
	return slices.ContainsFunc([]string{"COMEBACK_", "XDG_", "SSH_", "LD_", "DBUS_"}, func(p string) bool { return strings.HasPrefix(name, p) })
}
