package tui

func newMarkdown(m *model, title, text string) *pagerScreen { return newPager(m, title, text) }
