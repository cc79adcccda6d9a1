package plan

import (
	"slices"

	"comeback/recovery"
	"comeback/runbooks"
)

// Restored lists the components that the runbook's stages bring back, in the
// order in which they do.
func Restored(rb *runbooks.Runbook) []recovery.Component {
	var restored []recovery.Component
	all := Components(rb)
	for _, stage := range rb.Stages {
		for _, b := range stage.Blocks {
			r, ok := b.(runbooks.Restore)
			if !ok {
				continue
			}
			for _, name := range r.Components {
				called := func(c recovery.Component) bool { return c.Name == name }
				if i := slices.IndexFunc(all, called); i >= 0 && !slices.ContainsFunc(restored, called) {
					restored = append(restored, all[i])
				}
			}
		}
	}
	return restored
}

// RestoredDatabases are those of [Restored] that are databases.
func RestoredDatabases(rb *runbooks.Runbook) []recovery.Component {
	return slices.DeleteFunc(Restored(rb), func(c recovery.Component) bool { return c.Kind != recovery.Postgres })
}

// Components are all of the runbook's components, each with what tells its backups from
// those of the others, and of other systems.
func Components(rb *runbooks.Runbook) []recovery.Component {
	var all []recovery.Component
	for _, c := range rb.Components {
		all = append(all, Component(c))
	}
	return recovery.Apart(rb.System, all, rb.Formerly...)
}

// Component is a component of the runbook by itself, without the others.
func Component(c runbooks.Component) recovery.Component {
	return recovery.Component{Name: c.Name, Kind: recovery.ComponentKind(c.Kind), With: c.With, Settings: c.Settings}
}

// Copies are the runbook's copies.
func Copies(rb *runbooks.Runbook) []recovery.Copy {
	var all []recovery.Copy
	for _, c := range rb.Copies {
		all = append(all, recovery.Copy{Name: c.Name, URL: c.URL, Region: c.Region, Profile: c.Profile,
			Endpoint: c.Endpoint, PathStyle: c.PathStyle, Role: c.Role, Account: c.Account, AsOf: c.AsOf})
	}
	return all
}

// Databases are the names of the postgres components among those that come back.
func Databases(restored []recovery.Component) []string {
	return names(slices.DeleteFunc(slices.Clone(restored), func(c recovery.Component) bool { return c.Kind != recovery.Postgres }))
}

func names(components []recovery.Component) []string {
	var all []string
	for _, c := range components {
		all = append(all, c.Name)
	}
	return all
}
