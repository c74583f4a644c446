# cmake -DROOT=.. -DOUTPUT=.. -P code_fingerprint.cmake
#
# Writes the C++ source behind code_fingerprint.h: a hash over the sources that decide a result, all
# of sim/ and strategies/ but tests and benchmarks. Build type and machine do not enter.
file(GLOB_RECURSE sources RELATIVE ${ROOT} ${ROOT}/sim/*.cc ${ROOT}/sim/*.h
     ${ROOT}/strategies/*.cc ${ROOT}/strategies/*.h)
list(FILTER sources EXCLUDE REGEX "_(test|bench)\\.cc$")
list(SORT sources)
set(digests "")
foreach(source ${sources})
  file(SHA256 ${ROOT}/${source} digest)
  string(APPEND digests "${source} ${digest}\n")
endforeach()
string(SHA256 fingerprint "${digests}")
string(SUBSTRING ${fingerprint} 0 16 fingerprint)
set(text "#include \"scenarios/runner/code_fingerprint.h\"\n\nnamespace soapbox::runner {\n")
string(APPEND text "std::string code_fingerprint() { return \"${fingerprint}\"; }\n")
string(APPEND text "}  // namespace soapbox::runner\n")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT "${old}" STREQUAL "${text}")  # so that nothing is rebuilt when nothing changed
  file(WRITE ${OUTPUT} "${text}")
endif()
