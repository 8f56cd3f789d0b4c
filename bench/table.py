"""table.py: Markdown tables of what is in bench/results, where a page has a line for them.

    table.py PAGE...            writes the tables anew
    table.py --check PAGE...    says which are not what the results give

A page's line `<!-- table: FILE -->` stands before a table, `<!-- end -->` behind it; FILE is a result, from the page.
"""
import difflib
import json
import pathlib
import re
import statistics
import sys


def _spread(values, digits):
    """Median and half the range between the quartiles."""
    middle = statistics.median(values)
    if len(values) < 2:
        return f"{middle:.{digits}f}"
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.{digits}f} ± {(high - low) / 2:.{digits}f}"


def _rate(values):
    return _spread(values, 0 if statistics.median(values) >= 100 else 1)


def peers(result):
    """What bench/peers/run.py measured."""
    lines = [f"| {result['model']} | bits a weight | decoding, tokens/s | share of bandwidth | Pianola is faster by | "
             f"prompt of {result['prompt']}, tokens/s | Pianola is faster by | cores that others used |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    ours = None
    for row in result["rows"]:
        ours = row if row["engine"] == "Pianola" else ours
        shares = [rate * row["bytes_per_token"] / bandwidth * 100
                  for rate, bandwidth in zip(row["decode"], row["bandwidth"])]
        faster = ["", ""]
        if row is not ours:
            faster = [_spread([a / b for a, b in zip(ours[key], row[key])], 2) for key in ("decode", "prompt")]
        lines.append(f"| {row['engine']} {row['format']} | {row['bytes_per_token'] * 8 / result['parameters']:.1f} | "
                     f"{_rate(row['decode'])} | {_spread(shares, 0)} % | {faster[0]} | {_rate(row['prompt'])} | "
                     f"{faster[1]} | {_spread(row['others'], 1)} |")
    return "\n".join(lines) + "\n"


def bench(rows):
    """What `pianola bench -o json` printed."""
    lines = ["| | tokens/s | MB/token | read GB/s | share of floor | predicted us | measured us |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        decode = row["n_gen"] > 0
        name = f"decoding {row['n_gen']}" if decode else f"prompt of {row['n_prompt']}"
        if row.get("n_depth"):
            name += f" after {row['n_depth']}"
        if "keys_values" in row:
            name = f"{row['weights']}, keys and values {row['keys_values']}: {name}"
        read = f"{row['bytes_per_token'] / 1e6:.1f} | {row['read_bandwidth'] / 1e9:.1f} |" if decode else "| |"
        digits = 2 if row["stddev_ts"] < 1 else 1
        lines.append(f"| {name} | {row['avg_ts']:.1f} ± {row['stddev_ts']:.{digits}f} | {read} "
                     f"{row['share_of_floor'] * 100:.0f} % | {row['predicted_us']:.0f} | {1e6 / row['avg_ts']:.0f} |")
    return "\n".join(lines) + "\n"


def renew(page):
    """The page's text with its tables made anew, and how many there are."""
    def fill(found):
        path = page.parent / found[1]
        try:
            result = json.loads(path.read_text())
            made = bench(result) if isinstance(result, list) else peers(result)
        except (OSError, ValueError, KeyError, TypeError, statistics.StatisticsError) as error:
            sys.exit(f"error: {page}: {found[1]}: {type(error).__name__}: {error}")
        return f"<!-- table: {found[1]} -->\n{made}<!-- end -->"

    return re.subn(r"<!-- table: (\S+) -->\n.*?<!-- end -->", fill, page.read_text(), flags=re.S)


def main():
    pages = sys.argv[1:]
    check = "--check" in pages
    pages = [pathlib.Path(page) for page in pages if page != "--check"]
    if not pages:
        sys.exit("error: no page given")
    stale = False
    for page in pages:
        try:
            text, count = renew(page)
        except OSError as error:
            sys.exit(f"error: {page}: {error.strerror}")
        if count == 0:
            sys.exit(f"error: {page}: no line <!-- table: FILE --> in it")
        if not check:
            page.write_text(text)
        elif text != page.read_text():
            stale = True
            sys.stdout.writelines(difflib.unified_diff(page.read_text().splitlines(True), text.splitlines(True),
                                                       str(page), "what the results give"))
    if stale:
        sys.exit("error: renew the tables with bench/table.py")


if __name__ == "__main__":
    main()
