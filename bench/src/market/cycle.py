"""One cycle as Python has it: both books read once, rows made by the same rules, and written in one transaction.
Arguments: pandas or polars, the folder, the database."""

import re
import sqlite3
import sys

kind, folder, database = sys.argv[1:]


def rows_of(name):
    """The last sheet, which is the day's, as rows of texts."""
    path = f"{folder}/{name}.xlsx"
    if kind == "pandas":
        import pandas
        frame = pandas.read_excel(path, sheet_name=-1, header=None, dtype=str, keep_default_na=False, engine="openpyxl")
        return frame.values.tolist()
    import fastexcel
    book = fastexcel.read_excel(path)
    sheet = book.load_sheet(book.sheet_names[-1], header_row=None, dtypes="string").to_polars()
    return [["" if cell is None else cell for cell in row] for row in sheet.iter_rows()]


def number(text):
    text = text.strip().replace(",", "")
    try:
        return float("-" + text[1:-1] if text.startswith("(") and text.endswith(")") else text)
    except ValueError:
        return None


def shown(value):
    return "" if value is None else f"{value:,.0f}"


historical, live, bases, added = [], [], {}, {}
rows = iter(rows_of("Historical"))
for row in rows:
    plain = [re.sub(r"[\s_]", "", cell).lower() for cell in row]
    if "stock" in plain and "latestoi" in plain:
        break
names = ["stock", "category", "strike", "prevoi", "latestoi", "calloidifference", "putoidifference", "ltp", "additionalstrike"]
places = [plain.index(name) for name in names]
for row in rows:
    stock, category, strike, *amounts, price, additional = [row[place] for place in places]
    if not stock:
        continue
    key = number(strike)
    values = [number(amount) for amount in amounts]
    sides = bases.setdefault((stock, key), {})
    if values[1] is not None:
        sides[category[:4].strip().lower()] = values[1]
    if additional:
        added[stock, key] = additional
    historical.append((stock, category, strike, *map(shown, values), price, additional))

SECTIONS = {"Call Support", "Put Support", "Call Resistance", "Put Resistance"}
stock, open_sections = None, []
for row in rows_of("Live"):
    first = next((cell for cell in row if cell), "")
    block = re.match(r"OPT[_\-\s]+(\S+)", first)
    found = [(at, cell) for at, cell in enumerate(row) if cell in SECTIONS]
    if block:
        stock, open_sections = block[1], []
    elif found or not first:
        open_sections = found
    elif stock:
        for at, section in open_sections:
            label, amount, strike = row[at : at + 3]
            if not (label or amount or strike):
                continue
            value, key = number(amount), number(strike)
            difference = is_new = additional = ""
            if key is not None and not label.startswith("Total"):
                sides = bases.get((stock, key))
                base = 0 if sides is None else sides.get(section[:4].strip().lower())
                is_new = "Yes" if sides is None else ""
                difference = "" if value is None or base is None else shown(value - base)
                additional = added.get((stock, key), "")
            live.append((stock, section, label, shown(value), strike, difference, is_new, additional))

connection = sqlite3.connect(database)
connection.execute("PRAGMA journal_mode = WAL")
with connection:
    for table, width, stored in (("historical_data", 9, historical), ("live_data", 8, live)):
        columns = ", ".join(f"c{at} VARCHAR" for at in range(width))
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY, {columns})")
        connection.execute(f"DELETE FROM {table}")
        places = ", ".join("?" * width)
        connection.executemany(f"INSERT INTO {table} VALUES (NULL, {places})", stored)
