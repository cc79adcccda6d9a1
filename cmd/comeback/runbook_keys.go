package main

import (
	"fmt"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/runbooks"

	"github.com/spf13/cobra"
)

func (a *app) runbookKeysCommand() *cobra.Command {
	return &cobra.Command{
		Use: "keys [ENGINE]", Short: "List what a component, a copy and a block of a runbook may say, key by key", Args: atMostOneArgument("ENGINE"),
		Long: `Lists the keys of a component, by the engine that reads them: each with an example,
what it means, and what holds where it is missing. ENGINE is what stands after
` + "`with:`" + `; without it, all are listed, and behind them the keys of copies and those of
the lines that blocks begin with.

Every component has ` + "`kind:`" + ` (postgres, files, config or code). ` + "`with:`" + ` chooses one engine;
where it is missing, every engine of the kind looks into the copies, and the keys of
all of them may stand there.

Exit codes:
  0    listed
  1    the list could not be written
  2    there is no such engine`,
		Example: `  comeback runbook keys
  comeback runbook keys pgbackrest`,
		ValidArgsFunction: oneWordOf(engineNames()),
		RunE: func(_ *cobra.Command, args []string) error {
			engine := ""
			if len(args) > 0 {
				engine = args[0]
			}
			return a.runbookKeys(engine)
		},
	}
}

func (a *app) runbookKeys(engine string) error {
	if err := knownEngine(engine); err != nil {
		return err
	}
	schemas := slices.DeleteFunc(vocabulary().Engines, func(s runbooks.Schema) bool { return engine != "" && s.Engine != engine })
	for i, s := range schemas {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "kind: %s, with: %s\n", s.Kind, s.Engine)
		for _, k := range s.Keys {
			a.tellKey(k, fmt.Sprintf("%s: %s", k.Name, k.Example))
		}
	}
	if engine != "" {
		return nil
	}
	for _, p := range runbooks.Parts() {
		fmt.Fprintf(a.out, "\n%s\n", p.Says)
		for _, k := range p.Keys {
			example := k.Example
			if !strings.Contains(example, k.Name+": ") {
				example = k.Name + ": " + example
			}
			a.tellKey(k, example)
		}
	}
	return nil
}

// tellKey prints a key, by its example, and what it means.
func (a *app) tellKey(k runbooks.Key, example string) {
	fmt.Fprintf(a.out, "\n  %s\n", example)
	says := k.Doc
	if k.List {
		says = "a list: " + says
	}
	if k.Required {
		says = "needed: " + says
	}
	for _, line := range recovery.WrapWords(says, checkWidth-6) {
		fmt.Fprintf(a.out, "      %s\n", line)
	}
}
