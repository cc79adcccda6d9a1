// Package schedule writes down what a host has to do by itself for a system: its
// backups, checks and rehearsals, as systemd services with timers or as lines of a
// crontab.
//
// It is pure: whoever calls puts the files where they belong. All jobs run as one
// user; each service may write where its job must and nowhere else, and says with a
// command that it succeeded or failed, so that a job which did not run is noticed
// elsewhere.
package schedule
