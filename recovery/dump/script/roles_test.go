package script

import "testing"

// What is told of a statement that a superuser cannot execute as it is written.
func TestOwnersAndGrantors(t *testing.T) {
	subscriptions := Part{Kind: Statement, Text: []byte("ALTER SUBSCRIPTION s OWNER TO app;")}
	if got := SuperuserOwner(subscriptions, false); got != "" {
		t.Errorf("who owns a subscription is %q", got)
	}
	for text, want := range map[string]struct{ without, owner string }{
		"GRANT granted TO member GRANTED BY granting;":                              {without: "GRANT granted TO member;"},
		`GRANT ro TO bob WITH ADMIN OPTION, INHERIT TRUE GRANTED BY "A b";`:         {without: "GRANT ro TO bob WITH ADMIN OPTION, INHERIT TRUE;"},
		"REVOKE ro FROM bob GRANTED BY app;":                                        {without: "REVOKE ro FROM bob;"},
		"GRANT granted TO by;":                                                      {},
		"GRANT SELECT ON TABLE t TO bob GRANTED BY app;":                            {},
		"ALTER EVENT TRIGGER ddl OWNER TO app;":                                     {owner: "app"},
		`ALTER FOREIGN DATA WRAPPER w OWNER TO "App";`:                              {owner: "App"},
		"ALTER SUBSCRIPTION s OWNER TO app;":                                        {owner: "app"},
		"ALTER EVENT TRIGGER ddl DISABLE;":                                          {},
		"ALTER TABLE event OWNER TO app;":                                           {},
		"ALTER FUNCTION f() OWNER TO app;":                                          {},
		"COMMENT ON EVENT TRIGGER ddl IS 'ALTER EVENT TRIGGER ddl OWNER TO nobody'": {},
	} {
		p := Part{Kind: Statement, Text: []byte(text)}
		if got := WithoutGrantor(p); got != want.without {
			t.Errorf("%s without who granted it is %q, want %q", text, got, want.without)
		}
		if got := SuperuserOwner(p, true); got != want.owner {
			t.Errorf("%s makes %q an owner, want %q", text, got, want.owner)
		}
	}
}

func TestGrants(t *testing.T) {
	for sql, want := range map[string]bool{
		"CREATE TABLE public.t (a integer);":                               false,
		"ALTER TABLE ONLY public.t ADD CONSTRAINT k PRIMARY KEY (a);":      false,
		"GRANT SELECT ON TABLE public.t TO app;":                           true,
		"REVOKE ALL ON TABLE public.t FROM app;":                           true,
		"ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT ON TABLES TO b;": true,
	} {
		if got := Grants(statementOf(t, sql)); got != want {
			t.Errorf("%s: %t", sql, got)
		}
	}
}
