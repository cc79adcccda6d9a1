// Package filing is what runs are beyond the host that they were carried out on: filed,
// once they are signed, in the copies of their system, fetched from there by other hosts, and
// held against the heads of their journals that the copies keep.
//
// A copy is believed nothing that it cannot show. What is fetched is kept only where every
// file of it is as it was signed and it is the run whose name it has; it lies apart from the
// runs of this host, and takes the place of none. Whose signatures count is [Trust], which
// every reader of a run asks: those of this host's own runs, and of whom the reader's own list
// names. A key that a run brings along counts for nothing, and no run that was fetched
// excuses the lack of one of this host.
//
// Nothing that is filed is written again, and nothing is removed.
package filing
