@if "%~1"=="" (wsl --cd "%~dp0." -- sh -c "soloist down && soloist up -d") else (wsl --cd "%~dp0." -- soloist restart %*)
@exit /b %errorlevel%
