package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/internal/config"
)

func (p *program) listCommand() *cli.Command {
	return &cli.Command{
		Name:      "list",
		Usage:     "list the messages on the server and their state",
		ArgsUsage: "[ACCOUNT...]",
		Flags: flags(jsonFlag(),
			boolFlag("show From, Date and Subject too; requests the header of every message", "headers")),
		Action: p.list,
	}
}

func (p *program) list(c *cli.Context) error {
	con := p.console(c)
	s, err := p.selection(c, con)
	if err != nil {
		return err
	}
	return p.readOnly(c.Context, s, con, false, func(h *house, a *config.Account, w io.Writer) error {
		return h.account(a, nil).Look(c.Context, func(s fetch.Session, listing *plan.Listing, todo plan.Plan) error {
			var headers map[int]header
			if c.Bool("headers") {
				var err error
				if headers, err = topHeaders(s, listing); err != nil {
					return err
				}
			}
			if con.json {
				return listJSON(w, a.Name, listing, todo, headers)
			}
			return listTable(w, con.width, a.Name, listing, todo, headers)
		})
	})
}

// listLine is one message as JSON. popfetch(1) describes the fields.
type listLine struct {
	Account string `json:"account"`
	Num     int    `json:"num"`
	Octets  int64  `json:"octets"`
	UID     string `json:"uid"`
	State   string `json:"state"`
	*header
}

func listJSON(w io.Writer, account string, listing *plan.Listing, todo plan.Plan, headers map[int]header) error {
	for i, l := range listing.All() {
		line := listLine{Account: account, Num: l.Num, Octets: l.Octets, UID: l.UID(), State: todo.Verdicts[i].String()}
		if h, ok := headers[l.Num]; ok {
			line.header = &h
		}
		if err := encode(w, line); err != nil {
			return err
		}
	}
	return nil
}

// listTable writes the messages as a table that fits into width columns, 0 = any
// number.
func listTable(w io.Writer, width int, account string, listing *plan.Listing, todo plan.Plan, headers map[int]header) error {
	fmt.Fprintf(w, "%s: %s: %s\n", account, messages(listing.Len()), todo)
	if listing.Len() == 0 {
		return nil
	}
	t := table{columns: []column{{name: "NUM"}, {name: "OCTETS"}, {name: "STATE"}, {name: "UNIQUE-ID", shrinks: true}}}
	if headers != nil {
		t.columns[1].dropped, t.columns[3].dropped = 2, 1
		t.columns = append(t.columns, column{name: "FROM", shrinks: true}, column{name: "DATE", dropped: 3}, column{name: "SUBJECT", shrinks: true})
	}
	reasons := failures(todo)
	for i, l := range listing.All() {
		r := row{cells: []string{strconv.Itoa(l.Num), octets(l.Octets), todo.Verdicts[i].String(), quoteUnlessPlain(l.UID())}}
		if headers != nil {
			h := headers[l.Num]
			r.cells = append(r.cells, quoteUnlessPlain(h.From), quoteUnlessPlain(localDate(h.Date)), quoteUnlessPlain(h.Subject))
		}
		if why := reasons[l.Num]; why != "" {
			r.note = "(" + quoteUnlessPlain(why) + ")"
		}
		t.rows = append(t.rows, r)
	}
	return t.write(w, width)
}

// octets formats a size, or a dash if the server did not announce it.
func octets(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// failures returns, by message number, why earlier attempts failed.
func failures(todo plan.Plan) map[int]string {
	reasons := make(map[int]string)
	for _, items := range []plan.Items{todo.Retrieve, todo.SetAside} {
		for it := range items.All() {
			switch r := it.Record; {
			case r.Failures == 1:
				reasons[it.Num] = "failed once: " + r.Reason
			case r.Failures > 1:
				reasons[it.Num] = fmt.Sprintf("failed %d times: %s", r.Failures, r.Reason)
			case r.Reason != "": // the message was too big then, or the connection was lost
				reasons[it.Num] = "last time: " + r.Reason
			}
		}
	}
	return reasons
}

// topHeaders requests the header block of every message. A message that the
// server does not show is missing in the result.
func topHeaders(s fetch.Session, listing *plan.Listing) (map[int]header, error) {
	nums := make([]int, listing.Len())
	for i, l := range listing.All() {
		nums[i] = l.Num
	}
	headers := make(map[int]header, listing.Len())
	for m, err := range s.Top(nums, 0) {
		if errors.As(err, new(*pop3.ResponseError)) {
			continue
		}
		if err != nil {
			return nil, err
		}
		headers[m.Num] = readHeader(m.Body)
	}
	return headers, nil
}
