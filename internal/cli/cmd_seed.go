package cli

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"popfetch/internal/config"
	"popfetch/internal/control"
)

func (p *program) seedCommand() *cli.Command {
	return &cli.Command{
		Name: "seed", Usage: "count what is on the server as delivered; fetches nothing", ArgsUsage: "[ACCOUNT...]", Action: p.stateSeed,
		Flags: flags(&cli.StringFlag{Name: "before", Usage: "only messages that came at least `TIME` ago, such as 7d"}),
	}
}

func (p *program) stateSeed(c *cli.Context) error {
	var before time.Time
	if text := c.String("before"); c.IsSet("before") {
		age, err := config.ParseDuration(text)
		if err != nil {
			return &usage{fmt.Sprintf("state seed: --before: %v", err)}
		}
		before = time.Now().Add(-time.Duration(age))
	}
	return p.perform(c, control.Request{Do: doSeed, Before: before}, func(account string, done performed) {
		text := fmt.Sprintf("%s: marked %s as delivered; they stay on the server", account, messages(done.Messages))
		if done.Newer > 0 {
			text += fmt.Sprintf("; %s newer, to be fetched by the next poll", messages(done.Newer))
		}
		if done.Undated > 0 {
			text += fmt.Sprintf("; %s without a date, to be fetched by the next poll", messages(done.Undated))
		}
		fmt.Fprintln(p.out, text)
	})
}
