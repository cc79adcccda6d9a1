package tui

// words says what a screen is for, in its own words, with an example. Screens
// that say it themselves have none.
func words(s screen) string {
	switch s := s.(type) {
	case *homeScreen:
		return `Here are the systems that this host knows and the runs that it has. "Would it
save us?" answers from the last look into the copies; k looks again. An answer
older than a day is no answer about tonight.
For example: down to the system that is broken, enter.`
	case *checkScreen:
		return `Would the copies save this system tonight? Each component in each copy, how long
it would take, and 3-2-1-1-0, digit by digit. What was not seen is unknown, never met.
For example: down to a finding, enter shows what to do about it; e rehearses, t shows
how the rehearsals went.`
	case *amendScreen:
		return `A change of the plan of a run that waits. First it is looked what it would change;
it is made only when that was read and its number chosen.
For example: 1, enter makes it; esc leaves the plan as it is.`
	case *diedScreen:
		return `The process that ran this run is gone, and nothing goes on. What is done is in the
journal; resuming starts from there, and asks for secrets that nobody kept.
For example: 2, enter looks at what it did; 1, enter resumes it.`
	case *handScreen:
		return `Whoever commands a run answers its questions. Here you give that to a colleague;
you go on watching.
For example: 1, enter gives it to the first who is here.`
	case *leaveScreen:
		return `Leaving is not stopping: the run goes on without this console. To stop is a choice
of its own, and asks for a reason.
For example: d leaves; esc stays.`
	case *stopScreen:
		return `The run has been told to stop, and gives back what it made.
For example: esc watches it, d leaves this console.`
	case *pagerScreen:
		return `A text to read. Nothing in it can be changed, and esc goes back to where you were.
For example: / and a word, enter; n goes to the next place, N to the one before.`
	case *trendsScreen:
		return `How the rehearsals went, the newest last: how long each took against the RTO that was
promised, how much it restored, and which stage became slower.
For example: a stage that takes longer each time is the next one to look at.`
	case *runbookScreen:
		return `Say what happened: the answer leads to what helps. Below stands whether a run
could begin now: each copy with what it holds and who you are there, the room,
the key that signs. Choosing changes nothing.
For example: 1, then ~02:43 (when the outage began, about), enter.`
	case *routeScreen:
		return `This says where your answer leads, before anything is looked for. The start of
the outage counts for the RTO; it can be corrected later.
For example: ~02:43 and enter.`
	case *momentScreen:
		return `What the copies hold, the newest first: the log of a copy, in which any moment can
be chosen, and single backups, which are moments of their own. A question mark is a
backup of which only the span is known. Each component comes back to the same moment.
For example: down to the log of the database, enter shows what happened in it.`
	case *commitsScreen:
		return `Find the moment to go back to. It lies between two commits, and none is chosen
for you. What is kept and what is lost stands below the list.
For example: h goes to just before the newest harm, enter uses that moment.`
	case *planScreen:
		return `Everything that the run will do, before it does any of it. A rehearsal starts
with enter. What changes a live system starts only with its name, typed.
For example: read down with pgdn, then type the name or press esc.`
	case *runScreen:
		return `The run goes on by itself, also without this console. It asks when it needs
somebody: then its question takes the place of this screen.
For example: n writes a note that all who look can read.`
	case *waitingScreen:
		if s.ticking() {
			return `Only a person can know these. Each item is done, or not done with the reason; the
report says who decided what, and when. The run goes on after the last. Where more
than one step waits, w shows the next.
For example: space for one that is done; - and "the provider does not answer", enter.`
		}
		return `The run stands still until somebody answers. Nothing is chosen beforehand, and
every answer says what it leaves behind. A number moves the cursor, enter chooses.
Where more than one step waits, w shows the next.
For example: 2, enter, and the reason.`
	case *resultScreen:
		return `How the run ended, the word first. The report is a proof only once it is signed.
After a recovery, b plans to give what was replaced its place again, x to bring
back what people wrote since the moment. Both are plans to read first.
For example: k, down, enter signs it with a key; v says how anybody can check it.`
	case *lookScreen:
		return `What was restored, looked at before somebody decides. Every query only reads; the copy
stays as it is, and what is live is not asked.
For example: enter, select count(*) from orders, enter; t lists the tables again.`
	case *signScreen:
		return `Choose the key that vouches for these bytes; nothing is signed before enter.
For example: down, enter.`
	case *filesScreen:
		return `Every document of the run: what it would do, what it did, and each log.
For example: down to the log of a step, enter, then / and a word to find.`
	}
	return ""
}
