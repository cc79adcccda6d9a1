package pitr

import (
	"context"
	"fmt"
	"path"
	"slices"

	"comeback/recovery"
	"comeback/recovery/neighbours"
	"comeback/storage"
)

// FindLog looks for the log of a component where a survey of a copy does, which is nearly
// everywhere unless the component's settings say where. system is the cluster's
// identifier, empty where it is not known. A layout without places says that the copy
// holds no such log.
func FindLog(ctx context.Context, c recovery.Component, store storage.Store, system string) (Layout, error) {
	n := nativeForm{}.in(c, neighbours.See(c, store))
	if n.wal != "" {
		n.backups = n.wal // nothing else needs to be listed
	}
	found, err := n.list(ctx)
	if err != nil {
		return Layout{}, err
	}
	all, err := n.archives(ctx, found, &Contents{})
	if err != nil {
		return Layout{}, err
	}
	all = slices.DeleteFunc(all, func(a Archive) bool { return system != "" && a.System != "" && a.System != system })
	if len(all) > 1 {
		return Layout{}, recovery.Errorf("say where the log of this server lies with the component's setting `wal`", "the copy holds the log of several clusters, of %s in %s and of %s in %s",
			all[0].System, all[0].Places[0], all[1].System, all[1].Places[0])
	}
	l := Layout{Kind: nativeKind}
	for _, a := range all {
		l.Places, l.Others = a.Places, a.Others
	}
	return l, nil
}

// Pushed is the layout of the log where comeback brings it, flat or nested.
func Pushed(c recovery.Component) Layout {
	dir := WALPrefix(c)
	return Layout{Kind: nativeKind, Places: []Place{{Dir: dir}, {Dir: dir, Nested: true}}}
}

// FindFile looks for a file of the log, by PostgreSQL's name of it, in the places of a
// layout. One that is packed in a way that is not read is found, too.
func (l Layout) FindFile(ctx context.Context, store storage.Store, name string) (f File, found bool, err error) {
	n := &native{store: store, places: l.Places, others: l.Others}
	for _, p := range l.Places {
		for o, err := range Named(ctx, store, p.key(name)) {
			if err != nil {
				return File{}, false, fmt.Errorf("list %s: %w", store.URL(), err)
			}
			dir, base := path.Split(o.Key)
			f, ok := ParseFileName(base)
			if ok && f.Name() == name && p.key(f.Name()) == dir+f.Name() && !n.foreign(p, f) {
				f.Hold(o)
				return f, true, nil
			}
		}
	}
	return File{}, false, nil
}

// String is where the place is in its copy, for people.
func (p Place) String() string {
	if p.Dir == "" {
		return "its root"
	}
	return p.Dir
}
