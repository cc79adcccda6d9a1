package recovery

import "testing"

// Where a component lives stands under the first key that the runbook gives; where it gives
// none, the refusal names the component and the key that is missing.
func TestComponent_Lives(t *testing.T) {
	c := Component{Name: "database", Settings: Settings{"url": {"${DATABASE_URL}"}}}
	if text, err := c.Lives("admin", "url"); err != nil || text != "${DATABASE_URL}" {
		t.Errorf("by its url: %q, %v", text, err)
	}
	c.Settings["admin"] = []string{"${ADMIN_URL}"}
	if text, err := c.Lives("admin", "url"); err != nil || text != "${ADMIN_URL}" {
		t.Errorf("by its admin: %q, %v", text, err)
	}
	c.Settings = nil
	_, err := c.Lives("admin", "url")
	if err == nil || err.Error() != "the runbook does not tell where the live database is" || HintOf(err) != "give the component its `url` in the runbook" || ExitOf(err) != Usage {
		t.Errorf("by nothing: %v", err)
	}
}
