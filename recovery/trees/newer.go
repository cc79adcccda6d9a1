package trees

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"comeback/recovery"
)

// newer lists the files of the live tree that were written after the moment: they
// are not in what comes back, and stay in the old data.
type newer struct{}

func (newer) Name() string              { return newerName }
func (newer) Restart() recovery.Restart { return recovery.Repeat }

func (newer) Do(ctx context.Context, env recovery.Env, s recovery.Step) (o recovery.Outcome, err error) {
	var a args
	if err := s.Decode(&a); err != nil {
		return o, err
	}
	list, name, err := recovery.NewArtifact(env, a.Component+"-newer", ".txt")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	env.Meter().Phase("list what came after the moment", 0, recovery.InItems)
	files, size := int64(0), int64(0)
	err = filepath.WalkDir(a.Path, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it is still written to, or not there
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case d.IsDir():
			return nil
		}
		env.Meter().Add(1)
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !info.ModTime().After(a.Moment) {
			return nil
		}
		rel, err := filepath.Rel(a.Path, path)
		if err != nil {
			return err
		}
		files, size = files+1, size+info.Size()
		_, err = fmt.Fprintf(list, "%s %d %s\n", info.ModTime().UTC().Format("2006-01-02T15:04:05.000Z"), info.Size(), strconv.Quote(rel))
		return err
	})
	if err != nil {
		return o, fmt.Errorf("list what came after the moment in %s: %w", a.Path, err)
	}
	o.Facts = map[string]string{"files after the moment": strconv.FormatInt(files, 10)}
	if files == 0 {
		o.Says = "nothing in " + a.Path + " is newer than the moment"
		return o, nil
	}
	o.Says = fmt.Sprintf("%d files in %s, %s, were written after the moment; they stay in the old data", files, a.Path, recovery.FormatBytes(size))
	if a.Aside != "" {
		o.ToDo = []string{fmt.Sprintf("%s: decide about %d files that were written after the moment; they are in %s, listed in artifacts/%s", a.Component, files, a.Aside, name)}
	}
	return o, nil
}
