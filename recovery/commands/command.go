package commands

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	"comeback/recovery"
)

// command is one of the runbook's, with what it needs to know.
type command struct {
	Argv []string `json:"argv"`
	// Environ are the runbook's NAME=value, their references unresolved.
	Environ []string `json:"environment,omitempty"`
	// Asked are the variables of what it is asked for.
	Asked []string `json:"asked,omitempty"`
}

// commandOf is a command of a component, or a refusal that says what is missing.
func commandOf(c recovery.Component, key string, asked ...string) (command, error) {
	argv := c.Settings[key]
	switch {
	case len(argv) == 0 || argv[0] == "":
		return command{}, recovery.Errorf(fmt.Sprintf("write `%s: [/path/to/program, argument]` into the component", key),
			"the component %s has no command to %s", c.Name, key).WithExit(recovery.Usage)
	case !filepath.IsAbs(argv[0]):
		return command{}, recovery.Errorf("write its whole path", "the component %s: the program %q of `%s` is not an absolute path", c.Name, argv[0], key).WithExit(recovery.Usage)
	}
	for _, v := range c.Settings["environment"] {
		name, _, ok := strings.Cut(v, "=")
		if !ok || name == "" || strings.HasPrefix(name, "COMEBACK_") {
			return command{}, recovery.Errorf("write NAME=value; names that begin with COMEBACK_ are comeback's", "the component %s: `environment` cannot hold %q", c.Name, name).WithExit(recovery.Usage)
		}
	}
	return command{Argv: argv, Environ: c.Settings["environment"], Asked: append([]string{"COMEBACK_COMPONENT=" + c.Name}, asked...)}, nil
}

// environ is the whole environment of a command.
func (c command) environ(getenv func(string) string, expand func(string) (string, error)) ([]string, error) {
	all := []string{"PATH=" + cmp.Or(getenv("PATH"), "/usr/local/bin:/usr/bin:/bin"), "LC_ALL=C.UTF-8", "TZ=UTC"}
	if home := getenv("HOME"); home != "" {
		all = append(all, "HOME="+home)
	}
	for _, v := range c.Environ {
		text, err := expand(v)
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return append(all, c.Asked...), nil
}

// ofCopy are the variables that name a copy.
func ofCopy(c recovery.Copy, expand func(string) (string, error)) ([]string, error) {
	url, err := expand(c.URL)
	if err != nil {
		return nil, err
	}
	return []string{"COMEBACK_COPY=" + c.Name, "COMEBACK_COPY_URL=" + url}, nil
}
