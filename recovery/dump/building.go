package dump

import (
	"maps"
	"slices"

	"comeback/recovery/dump/crew"
	"comeback/recovery/dump/script"
)

// manyBuilds are enough to choose from.
const manyBuilds = 256

// build puts off an index or a key.
func (s *scriptRun) build(t crew.Task) {
	if s.builds = append(s.builds, t); len(s.builds) >= manyBuilds {
		s.start()
	}
}

// start gives the crew the indexes and keys that were put off, and lets whoever has
// nothing to do help with rows.
func (s *scriptRun) start() {
	s.crew.Add(slices.Concat(s.helps, s.builds)...)
	s.helps, s.builds = nil, nil
}

// flush gives the crew all that was put off.
func (s *scriptRun) flush() {
	s.start()
	s.crew.Add(s.later...)
	s.later = nil
}

// weight is about how much longer than a B-tree over numbers an index takes for the same
// rows.
func weight(method string, worded bool) int64 {
	switch {
	case method == "hnsw": // of pgvector, as ivfflat: each row is compared with hundreds of others
		return 64
	case method == "gin":
		return 16
	case method == "ivfflat" || method == "gist" || method == "spgist":
		return 10
	case worded: // each comparison asks the language
		return 3
	}
	return 1
}

// work is about how long a statement's index takes, of a table whose rows have been read.
func (s *scriptRun) work(p script.Part, e script.Effect) int64 {
	return s.fed[e.Table] * weight(e.Method, p.Keys(s.known.relations[e.Table].worded))
}

// building are the settings for it.
func (s *scriptRun) building(e script.Effect) settings {
	return s.now.building(s.configured, e.Method, s.fed[e.Table], s.server.Cluster().Tools.BuildsGINTogether())
}

// The settings that building changes.
const buildMemory, buildHelpers = "maintenance_work_mem", "max_parallel_maintenance_workers"

// building are the settings for an index over a table that was fed so much, where the
// server's configuration alone says what they are. What is sorted in the cache of a
// processor and merged then takes less time than what is sorted in as much memory as there
// is; the more there is, the more memory a single merge takes. Where processes help each
// other with a B-tree they want the configured memory: PostgreSQL gives none of them less
// than 32 MB. From 18 on one helps with a GIN index, which takes longest by far.
func (now settings) building(configured settings, method string, fed int64, ginTogether bool) settings {
	helpers := configured[buildHelpers]
	if configured[buildMemory] == "" || helpers == "" || fed == 0 { // a table of which nothing is known may be of any size
		return now
	}
	own := maps.Clone(now)
	switch {
	case method == "gin" && ginTogether:
		if helpers == "0" {
			own[buildHelpers] = "1"
		}
	case method == "gin" && fed < 2<<30: // a larger one is not held by any buffers
		own[buildMemory] = "8MB"
	case method != "btree" && method != "" || helpers != "0":
	case fed < 2<<30:
		own[buildMemory] = "8MB"
	case fed < 16<<30:
		own[buildMemory] = "16MB"
	}
	return own
}
