"""gnuplot: plots as SVG."""
import subprocess

HEAD = """set terminal svg size 960,{height} dynamic background rgb 'white' font 'sans,11'
set output '{file}'
set title {title}
set grid ytics
set key outside right top noenhanced
set border 3
set tics nomirror noenhanced
"""


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def data(name, rows):
    """What is missing is a word that gnuplot leaves out."""
    lines = [" ".join(quoted(value) if isinstance(value, str) else "NaN" if value is None else f"{value:.6g}"
                      for value in row) for row in rows]
    return f"${name} << END\n" + "\n".join(lines) + "\nEND\n"


def draw(file, title, commands, height=420):
    script = HEAD.format(file=file, title=quoted(title), height=height) + commands
    subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)
