package switchover

import (
	"cmp"
	"context"
	"fmt"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

var referred = pattern.New(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// leadHere is what to do where a reference leads to another host, and a server of this
// machine must answer at it.
func leadHere(reference, host string) string {
	return fmt.Sprintf("let %s name this machine, such as localhost in the place of %s; or let %[2]s lead here (/etc/hosts)", named(reference), host)
}

// named is an address by what a person changes of it: its variable, or the runbook.
func named(reference string) string {
	if m := referred.FindStringSubmatch(reference); m != nil {
		return "${" + m[1] + "}"
	}
	return "the address of the component in the runbook"
}

// answersElsewhere refuses a fresh place whose server would be started here, in the end,
// and asked for at another host: the one that died.
func answersElsewhere(reference, host, data string) error {
	return recovery.Errorf(leadHere(reference, host)+", and make the plan again",
		"refused: the server of %s must answer at the component's address once it is started, and that leads to %s, which is not this machine", data, host).WithExit(recovery.Refused)
}

// misled gives a server that was started, and does not answer at its address because that
// leads to another host, the address as its next step; any other error stays as it is.
func misled(ctx context.Context, reference, address, data string, err error) error {
	if pids, gone := postgres.Processes(data); gone != nil || len(pids) == 0 {
		return err
	}
	host, unread := live.Elsewhere(ctx, address)
	if unread != nil || host == "" {
		return err
	}
	return recovery.Errorf(leadHere(reference, host)+", then try again",
		"the server of %s runs, and the component's address leads to %s, which is not this machine: %w", data, host, err).WithExit(recovery.ExitOf(err))
}

// AnotherHost is what a recovery of a component takes where the host of its server is gone,
// in one sentence; empty where it takes nothing.
func AnotherHost(c recovery.Component) string {
	data := c.Settings.Text("data")
	switch how, err := into(c); {
	case err != nil: // handed over, or refused for it
		return ""
	case how == intoDatabase:
		return c.Name + " comes back only into a server that runs: where that is gone, the runbook says how without it: " + ways
	case data == "":
		return c.Name + " comes back as the data directory of a server of the host on which comeback runs: where nothing is there yet, the runbook says where it is to be (data:)"
	default:
		return fmt.Sprintf("%s comes back as %s of the host on which comeback runs, and must be found at its address there: let %s name that host, not the one that died", c.Name, data, named(cmp.Or(c.Settings.Text("admin"), c.Settings.Text("url"))))
	}
}
