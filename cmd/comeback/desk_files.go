package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/tui"
)

// Files lists what lies in a run's directory, what people read most first.
func (d *desk) Files(_ context.Context, dir string) ([]tui.File, error) {
	var list []tui.File
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			list = append(list, tui.File{Name: name, Path: path, Size: info.Size(), Modified: info.ModTime()})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the files of the run: %w", err)
	}
	first := []string{recovery.PageFile, recovery.PlanFile, recovery.RunbookFile, journal.Name}
	slices.SortStableFunc(list, func(a, b tui.File) int {
		i, j := slices.Index(first, a.Name), slices.Index(first, b.Name)
		switch {
		case i >= 0 && j >= 0:
			return i - j
		case i >= 0:
			return -1
		case j >= 0:
			return 1
		}
		return cmp.Or(strings.Count(b.Name, "/")-strings.Count(a.Name, "/"), strings.Compare(a.Name, b.Name))
	})
	return list, nil
}
