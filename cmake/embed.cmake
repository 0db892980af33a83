# Turns IN (an SQL file) into OUT, a C file defining `const char NAME[]`: bytes as hexadecimal, so any content is safe.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "extern const char ${NAME}[];\nconst char ${NAME}[] = { ${bytes} 0 };\n")
