package switchover

import (
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
