package provider

import (
	"context"

	"comeback/recovery"
)

// HandsOver is what a switcher has in common with others whose restores make something
// new: it takes the place of nothing that is live, and is handed over.
type HandsOver struct {
	// Makes says what a restore makes, as a clause.
	Makes string
}

// Instead is how it comes back.
func (HandsOver) Instead() string { return "write `into: hand-over` into the component" }

func (h HandsOver) refuse(component string) error {
	return recovery.Errorf(h.Instead(), "the component %s cannot take the place of what is live: %s", component, h.Makes).WithExit(recovery.Usage)
}

// Look refuses: there is nothing to switch.
func (h HandsOver) Look(_ context.Context, c recovery.Component, _ []recovery.Copy, _ func(string) (string, error)) (recovery.Live, error) {
	return recovery.Live{}, h.refuse(c.Name)
}

// Plan refuses: there is nothing to switch.
func (h HandsOver) Plan(c recovery.SwitchContext) (recovery.Switch, error) {
	return recovery.Switch{}, h.refuse(c.Component.Name)
}

// Back refuses: nothing was switched.
func (h HandsOver) Back(c recovery.SwitchContext, _ recovery.Old) (recovery.Switch, error) {
	return recovery.Switch{}, h.refuse(c.Component.Name)
}
