package cli

import (
	"fmt"
	"math"
	"strings"
	"time"

	"popfetch/fetch"
)

// text is the line as it is now, in at most so many columns. The account has width of them.
func (l *progressLine) text(width, columns int, now time.Time) string {
	name := fmt.Sprintf("%-*s  ", width, fit(l.account, width))
	room := columns - len(name)
	if room < 10 {
		return strings.TrimRight(fit(name, columns), " ")
	}
	if l.stage != fetch.Receiving {
		return name + fit(l.waits(now), room)
	}
	texts := l.receives(now)
	for _, text := range texts {
		if len(text) <= room {
			return strings.TrimRight(name+text, " ")
		}
	}
	return name + fit(texts[len(texts)-1], room)
}

// waits is what the poll does while nothing is received, and for how long if that is long.
func (l *progressLine) waits(now time.Time) string {
	text := map[fetch.Stage]string{
		fetch.Connecting: "connecting", fetch.LoggingIn: "logging in", fetch.Listing: "listing the messages", fetch.Finishing: "finishing",
	}[l.stage]
	if took := now.Sub(l.since); took >= longWait {
		text += ", for " + shortSpan(took)
	}
	return text
}

// longWait is a wait that is mentioned.
const longWait = 5 * time.Second

// receives is how far the download is, the longest text first. Its columns do not depend
// on the numbers, so that they stay where they are.
func (l *progressLine) receives(now time.Time) (texts []string) {
	octets, messages := l.octets.Load(), int(l.messages.Load())
	l.rate.measure(octets, now)
	count := fmt.Sprintf("%d/%d", messages, l.of.messages)
	speed := size(int64(l.rate.perSecond())) + "/s"
	switch wait := now.Sub(l.rate.moved); {
	case messages >= l.of.messages:
		speed = "delivering"
	case wait >= longWait:
		speed = "nothing for " + shortSpan(wait)
	}
	if l.of.octets <= 0 {
		return []string{fmt.Sprintf("%7s  %9s  %11s", count, size(octets), speed), count + "  " + size(octets), count}
	}
	part := min(1, float64(octets)/float64(l.of.octets))
	percent := fmt.Sprintf("%3d%%", int(part*100))
	all := fmt.Sprintf("%7s  %-18s  %s  %11s  %-11s", count, outOf(octets, l.of.octets), percent, speed, l.left(octets))
	return []string{
		bar(part) + "  " + all, all,
		fmt.Sprintf("%7s  %s  %11s  %-11s", count, percent, speed, l.left(octets)),
		fmt.Sprintf("%7s  %s  %11s", count, percent, speed), count + "  " + percent + "  " + speed, count + "  " + percent, count,
	}
}

// left is the time that the rest takes, "" if nobody knows.
func (l *progressLine) left(octets int64) string {
	rest := float64(l.of.octets - octets)
	perSecond := l.rate.perSecond()
	if rest <= 0 || perSecond < 1 || rest/perSecond > (100*24*time.Hour).Seconds() || l.rate.elapsed < time.Second {
		return ""
	}
	return shortSpan(time.Duration(math.Ceil(rest/perSecond))*time.Second) + " left"
}

// barWidth is how many columns the inside of a bar has.
const barWidth = 10

func bar(part float64) string {
	n := int(part * barWidth)
	head := ""
	if n < barWidth {
		head = ">"
	}
	return "[" + strings.Repeat("=", n) + fmt.Sprintf("%-*s", barWidth-n, head) + "]"
}

// outOf is "3.4 of 90.1 MiB", with the unit of the second.
func outOf(octets, of int64) string {
	text := size(of)
	_, unit, _ := strings.Cut(text, " ")
	value, digits := float64(octets), 0
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if unit == "B" {
			break
		}
		value, digits = value/1024, 1
		if unit == u {
			break
		}
	}
	return fmt.Sprintf("%.*f of %s", digits, value, text)
}

// rate is how fast something grows: the mean of the last few seconds, in which what is
// older counts less.
type rate struct {
	at      time.Time     // of the last look
	moved   time.Time     // when it was last found to have grown
	elapsed time.Duration // since the first look
	last    int64         // at the last look
	mean    float64       // a second; too low at the beginning, see perSecond
}

// rateWindow is the time after which a change counts for a third.
const rateWindow = 5 * time.Second

func (r *rate) measure(value int64, now time.Time) {
	took := now.Sub(r.at)
	if took < redrawEvery/2 {
		return
	}
	weight := 1 - math.Exp(-took.Seconds()/rateWindow.Seconds())
	r.mean += (float64(value-r.last)/took.Seconds() - r.mean) * weight
	if value != r.last {
		r.moved = now
	}
	r.at, r.last, r.elapsed = now, value, r.elapsed+took
}

// perSecond is the rate.
func (r *rate) perSecond() float64 {
	if r.elapsed == 0 {
		return 0
	}
	return r.mean / (1 - math.Exp(-r.elapsed.Seconds()/rateWindow.Seconds()))
}

// fit returns the beginning of an ASCII text, with a mark where it is cut.
func fit(text string, columns int) string {
	if len(text) <= columns {
		return text
	}
	if columns < 2 {
		return text[:max(0, columns)]
	}
	return text[:columns-1] + "~"
}
